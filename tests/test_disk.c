// tests/test_disk.c: a disk that is full, below the database and below the dumps: a clear answer, nothing half, and all
// goes on once there is room. A disk is a tmpfs, which root alone can mount: for others there is nothing to test.
#include <pwd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/process.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/shop_cell.h"
#include "tests/support/test_world.h"

enum { UMOUNT_MS = 10000 };

#define CHECKOUT "/api/v1/store/carts/cartcartcartcartcart22/checkout"
#define ORDER                                                                                                          \
    "{\"email\":\"ana@example.com\",\"shipping_address\":{\"name\":\"Ana\",\"line1\":\"Calle 1\",\"city\":\"Vigo\","   \
    "\"postal_code\":\"36201\",\"country\":\"ES\"},\"shipping_method\":\"standard\",\"payment_method\":"               \
    "\"bank_transfer\"}"

// Unmounts when the test's process is gone, however that went.
static void guard_start(const char *path)
{
    static const char SCRIPT[] = "while kill -0 \"$1\" 2>/dev/null && mountpoint -q \"$2\"; do sleep 0.5; done; "
                                 "umount -l \"$2\" 2>/dev/null; rmdir \"$2\" 2>/dev/null";
    char pid[16];
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    const char *argv[] = {"sh", "-c", SCRIPT, "sh", pid, path, NULL};
    Error err = {0};
    Process guard;
    ck_assert_ok(process_start(&(ProcessSpec){.argv = argv, .is_session = true}, &guard, &err), &err);
    process_close(&guard);
}

static void disk_mount(const char *path, const char *options)
{
    ck_assert_msg(mount("tmpfs", path, "tmpfs", 0, options) == 0, "no tmpfs can be mounted at %s", path);
    guard_start(path);
}

static void disk_resize(const char *path, const char *options)
{
    ck_assert_int_eq(mount("tmpfs", path, "tmpfs", MS_REMOUNT, options), 0);
}

static int posted(ShopClient *client, const char *path, const char *body, Arena *arena, ShopAnswer *answer)
{
    ShopRequest request = {.method = "POST", .path = path, .headers = "Idempotency-Key: once\r\n", .body = body};
    ck_assert(shop_call(client, &request, arena, answer));
    return answer->status;
}

static void check_none_was_sold(TestCell *cell)
{
    ck_assert_str(test_value(cell->db, cell->arena,
                             "select (select count(*) from t_1.orders) || ' ' || (select count(*) from "
                             "t_1.idempotency_keys) || ' ' || (select quantity from t_1.stock where variant_id = 1)"),
                  S("0 0 10"));
}

TEST(a_full_disk_sells_nothing_and_loses_nothing)
{
    if (geteuid() != 0)
        return;
    TestCell cell;
    ShopAnswer answer;
    char path[] = "/tmp/shop-disk.XXXXXX";
    ck_assert(mkdtemp(path) != NULL);
    test_cell_open(&cell, "disk");
    struct passwd *postgres = getpwnam("postgres");
    ck_assert_ptr_nonnull(postgres);
    disk_mount(path, str_format(cell.arena, "size=1m,mode=700,uid=%u", postgres->pw_uid).data);
    Str tablespace = str_format(cell.arena, "disk_%d", (int)getpid());
    test_cell_sql(&cell, str_format(cell.arena, "create tablespace %s location '%s'", tablespace.data, path).data);
    test_cell_sql(&cell, str_format(cell.arena,
                                    "alter table t_1.orders set tablespace %s;"
                                    "insert into t_1.carts (token) values ('cartcartcartcartcart22');"
                                    "insert into t_1.cart_lines (cart_id, variant_id, quantity) values (1, 1, 1);"
                                    "create table t_1.filler (text text) tablespace %s;"
                                    "alter table t_1.filler alter text set storage plain",
                                    tablespace.data, tablespace.data)
                             .data);
    test_cell_serve(&cell, 1, S(""));
    Error err = {0};
    static const Str FILL = S("insert into t_1.filler select repeat('x', 4000)");
    while (db_run(cell.db, FILL, NO_PARAMS, &err))
        continue;
    ck_assert_int_eq(err.code, ERR_BUSY);    // PostgreSQL says disk_full

    ShopClient *acme = shop_client_open(cell.port, "acme.localhost"),
               *beta = shop_client_open(cell.port, "beta.localhost");
    ck_assert_int_eq(posted(acme, CHECKOUT, ORDER, cell.arena, &answer), 503);
    ck_assert_str(shop_answer_header(&answer, S("Content-Type")), S("application/problem+json"));
    ck_assert(shop_answer_header(&answer, S("Retry-After")).len > 0);
    ck_assert_uint_eq(str_find(answer.body, str_of(path)), answer.body.len);    // no paths of ours
    shop_answer_close(&answer);
    check_none_was_sold(&cell);
    ck_assert(shop_call(acme, &(ShopRequest){.method = "GET", .path = "/products/taza-azul"}, cell.arena, &answer));
    ck_assert_int_eq(answer.status, 200);
    shop_answer_close(&answer);
    ck_assert_int_eq(posted(beta, "/api/v1/store/carts", "{}", cell.arena, &answer), 201);
    shop_answer_close(&answer);

    test_cell_sql(&cell, "drop table t_1.filler");
    for (int i = 0; i < 2; i++) {    // the same key again is the same order
        ck_assert_int_eq(posted(acme, CHECKOUT, ORDER, cell.arena, &answer), 201);
        shop_answer_close(&answer);
    }
    ck_assert_str(test_value(cell.db, cell.arena, "select count(*) from t_1.orders"), S("1"));
    ck_assert_str(test_value(cell.db, cell.arena, "select quantity from t_1.stock where variant_id = 1"), S("9"));
    shop_client_close(&acme);
    shop_client_close(&beta);
    test_cell_sql(&cell, "alter table t_1.orders set tablespace pg_default");
    test_cell_sql(&cell, str_format(cell.arena, "drop tablespace %s", tablespace.data).data);
    test_cell_close(&cell);
    ck_assert(umount(path) == 0 && (rmdir(path) == 0 || access(path, F_OK) != 0));
}

TEST(a_tenant_whose_dump_finds_no_room_stays_as_it_was)
{
    if (geteuid() != 0)
        return;
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "disk", false);
    test_world_bring(&world, "roomy", "archived");
    const char *path = str_format(world.arena, "%.*s/dumps", STR_ARG(world.data)).data;
    ck_assert(mkdir(path, 0700) == 0 || access(path, F_OK) == 0);
    disk_mount(path, "size=64k,mode=700");
    Str schema =
        test_value(world.control, world.arena, "select 't_' || number from control.tenants where slug = 'roomy'");
    Str sql = str_format(world.arena,
                         "insert into %.*s.products (handle, title, description) select 'thing-' || i, 'Thing', "
                         "repeat(md5(i::text), 40) from generate_series(1, 300) i",
                         STR_ARG(schema));
    ck_assert_ok(db_script(world.cell, sql, &err), &err);
    for (int i = 0; i < 2; i++) {
        ck_assert(!tenant_delete(world.platform, test_slug("roomy"), &err));
        ck_assert_msg(error_says(&err, "No space left on device"), "%s: %s: %s (%s)", error_name(err.code), err.what,
                      err.why, err.next);
        error_clear(&err);
        ck_assert_str(test_world_status(&world, "roomy"), S("archived"));
    }
    test_world_check(&world, "roomy", "with a disk that is full");
    disk_resize(path, "size=64m");
    ck_assert_ok(tenant_delete(world.platform, test_slug("roomy"), &err), &err);
    ck_assert_ok(tenant_restore(world.platform, test_slug("roomy"), &err), &err);
    schema = test_value(world.control, world.arena, "select 't_' || number from control.tenants where slug = 'roomy'");
    sql = str_format(world.arena, "select count(*) from %.*s.products", STR_ARG(schema));
    ck_assert_str(test_value(world.cell, world.arena, sql.data), S("300"));
    test_world_check(&world, "roomy", "with room again");
    ck_assert_int_eq(umount2(path, MNT_DETACH), 0);
    test_world_close(&world);
}

SUITE(disk, ONCE(a_full_disk_sells_nothing_and_loses_nothing), ONCE(a_tenant_whose_dump_finds_no_room_stays_as_it_was))
