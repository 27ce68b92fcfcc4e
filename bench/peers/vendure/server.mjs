// Vendure as bench/peers/vendure.sh measures it: server.mjs prepare | import FILE | serve PORT. Its database is that of PGHOST,
// PGUSER and PGDATABASE. prepare: tables, a zone, a tax rate, a shipping and a payment method. import: prints the seconds of the
// import alone, without the start and without the search index, which is made afterwards. serve: one process, which does its jobs, too.
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import {
    bootstrap, DefaultLogger, DefaultSearchPlugin, dummyPaymentHandler, Importer, JobQueueService, LogLevel, Populator,
    RequestContextService, SearchService, TransactionalConnection,
} from '@vendure/core';
import pg from 'pg';

let statements = 0;    // all that go to PostgreSQL, those that open and close transactions included
const query = pg.Client.prototype.query;
pg.Client.prototype.query = function counted(...args) {
    statements++;
    return query.apply(this, args);
};

const [command, argument] = process.argv.slice(2);
const app = await bootstrap({
    logger: new DefaultLogger({ level: LogLevel.Error }),
    apiOptions: {
        hostname: '127.0.0.1',
        port: command === 'serve' ? Number(argument) : 0,
        cors: false,
        middleware: [{ route: 'bench-statements', handler: (request, response) => response.json(statements) }],
    },
    authOptions: {
        tokenMethod: 'bearer',
        superadminCredentials: { identifier: 'bench', password: randomBytes(16).toString('hex') },    // a start for production wants one
    },
    dbConnectionOptions: {
        type: 'postgres',
        host: process.env.PGHOST,
        username: process.env.PGUSER,
        database: process.env.PGDATABASE,
        synchronize: command === 'prepare',
        logging: false,
    },
    paymentOptions: { paymentMethodHandlers: [dummyPaymentHandler] },
    plugins: [DefaultSearchPlugin.init({})],
});

async function prepare() {
    await app.get(Populator).populateInitialData({
        defaultLanguage: 'en',
        defaultZone: 'Americas',
        countries: [{ name: 'United States', code: 'US', zone: 'Americas' }],
        taxRates: [{ name: 'Standard', percentage: 0 }],
        shippingMethods: [{ name: 'Standard', price: 0 }],
        paymentMethods: [{
            name: 'Later',
            handler: { code: dummyPaymentHandler.code, arguments: [{ name: 'automaticSettle', value: 'false' }] },
        }],
        collections: [],
    });
}

const SETTLED_POLLS = 25;

async function importFile(path) {
    const ctx = await app.get(RequestContextService).create({ apiType: 'admin', languageCode: 'en' });
    const text = await readFile(path, 'utf8');
    let last;
    const from = performance.now();
    await app.get(Importer).parseAndImport(text, ctx, false).forEach(progress => { last = progress; });
    const seconds = (performance.now() - from) / 1000;
    if (last.errors?.length > 0)
        throw new Error(last.errors[0]);
    await app.get(JobQueueService).start();
    await app.get(SearchService).reindex(ctx);
    const database = app.get(TransactionalConnection).rawConnection;
    // The index is whole once by the import, then emptied and made again.
    for (let settled = 0; settled < SETTLED_POLLS; await setTimeout(200)) {
        const [{ missing }] = await database.query(
            'select (select count(*) from product_variant)::int - (select count(*) from search_index_item)::int as missing');
        settled = missing > 0 ? 0 : settled + 1;
    }
    console.log(seconds.toFixed(3));
}

if (command === 'serve') {
    await app.get(JobQueueService).start();
} else {
    await (command === 'prepare' ? prepare() : importFile(argument));
    process.exit(0);
}
