// provisioner/postgres_settings.h: what every PostgreSQL of ours is told, the platform's own and those in containers.
#pragma once

// As lines of postgresql.conf.
#define POSTGRES_SETTINGS                                                                                              \
    "cluster_name = 'shop'\n"                                                                                          \
    "max_locks_per_transaction = 256    # dropping a tenant takes some 450\n"                                          \
    "jit = off\n"                                                                                                      \
    "wal_level = logical\n"                                                                                            \
    "max_replication_slots = 64    # a pending move has one\n"                                                         \
    "max_wal_senders = 64\n"                                                                                           \
    "random_page_cost = 1.1\n"                                                                                         \
    "log_destination = 'stderr'\n"                                                                                     \
    "log_line_prefix = '%m [%p] %q%u@%d %a '\n"                                                                        \
    "log_lock_waits = on\n"                                                                                            \
    "log_min_duration_statement = 2s\n"                                                                                \
    "log_parameter_max_length = 0    # what shoppers type stays out of the log\n"                                      \
    "log_parameter_max_length_on_error = 0\n"                                                                          \
    "lc_messages = 'C.UTF-8'\n"                                                                                        \
    "timezone = 'UTC'\n"                                                                                               \
    "log_timezone = 'UTC'\n"
