// runtime/core/news.h: the one connection of a process that hears what changes in its cell.
#pragma once
#include "runtime/core/loop.h"
#include "runtime/core/tenants.h"

typedef struct News News;

// What is heard, on the loop's thread.
typedef struct NewsReaders {
    void *context;
    void (*directory)(void *context, Directory *directory);    // a new one; to hold, if it is to stay
    // A tenant's catalogue has changed; 0: any may have, since nothing was heard until now: also at the first
    // connection, before which shoppers were served already.
    void (*catalog)(void *context, int64_t tenant);
} NewsReaders;

// Connects when the loop runs, LISTENs, reads the whole directory, and again after each lost connection. `first` is
// what is known until then; `dsn` lives as long as the news. Fails with ERR_NO_MEMORY.
MUST_CHECK bool news_open(Loop *loop, Str dsn, Directory *first, const NewsReaders *readers, News **out, Error *err);
void news_close(News **news);
bool news_is_up(const News *news);    // from any thread
