// The buyers of a peer's figures. Prints figures on a line; every answer's status and content are looked at.
// client.mjs orders shopd|vendure PORT HOST BUYERS SECONDS ORDERS VARIANTS: orders, each a new buyer's: a cart with a line, address and
// shipping, payment; in as few requests as each side's API allows, over a connection that is kept. VARIANTS is a file with an id a line,
// taken in turn.
// With ORDERS 0 orders are made for SECONDS, of which the first fifth isn't counted, and an answer that is neither an accepted nor a
// refused order ends it; otherwise there are as many as ORDERS. Prints "ACCEPTED REFUSED FAILED SECONDS", then all that were accepted.
// client.mjs check PORT FILE LEAST: asks each request of FILE (as bench/load.c reads it) once; right is an answer with status 200, without
// errors, with LEAST products at least and with the product or the material that the request names. Prints the mean bytes of a body.
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';

const [command, ...rest] = process.argv.slice(2);
const run = `${process.pid}-${Date.now()}`;

// One connection: ask() sends a request and resolves to its status, head and JSON.
function connection(port, host) {
    const socket = connect({ port: Number(port), host: '127.0.0.1', noDelay: true });
    let taken = Buffer.alloc(0), settle, fail;
    socket.on('data', data => {
        taken = taken.length > 0 ? Buffer.concat([taken, data]) : data;
        const end = taken.indexOf('\r\n\r\n');
        if (end < 0)
            return;
        const head = taken.toString('latin1', 0, end);
        const length = /content-length: *(\d+)/i.exec(head);
        if (!length)
            fail(new Error(`an answer without Content-Length: ${head}`));
        if (taken.length < end + 4 + Number(length[1]))
            return;
        const body = taken.toString('utf8', end + 4);
        taken = Buffer.alloc(0);
        settle({ status: Number(head.slice(9, 12)), head, body, json: JSON.parse(body) });
    });
    socket.on('error', error => fail(error));
    socket.on('close', () => fail(new Error('the connection was closed')));
    return (path, headers, json, method = 'POST', to = host) => new Promise((done, failed) => {
        settle = done;
        fail = failed;
        const body = typeof json === 'string' ? json : JSON.stringify(json);
        const about = method === 'GET' ? '' : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`;
        socket.write(`${method} ${path} HTTP/1.1\r\nHost: ${to}\r\n${headers}${about}\r\n${body}`);
    });
}

function must(answer, is) {
    if (!is)
        throw new Error(`an answer that isn't one: ${answer.status} ${JSON.stringify(answer.json).slice(0, 600)}`);
}

// An order with shopd; true when it is accepted, false when it is refused for stock.
async function shopdOrder(ask, variant, number) {
    const cart = await ask('/api/v1/store/carts', '', { lines: [{ variant_id: variant, quantity: 1 }] });
    must(cart, cart.status === 201 && cart.json.id && cart.json.lines.length === 1);
    const order = await ask(`/api/v1/store/carts/${cart.json.id}/checkout`, `Idempotency-Key: ${run}-${number}\r\n`, {
        email: `buyer-${run}-${number}@buyers.example`,
        shipping_address: { name: 'Ann Buyer', line1: 'Main Street 1', city: 'Boston', postal_code: '02101', country: 'US' },
        shipping_method: 'standard',
        payment_method: 'bank_transfer',
    });
    if (order.status === 409)
        return false;
    must(order, order.status === 201 && order.json.number);
    return true;
}

const ADD = `mutation ($variant: ID!) { addItemToOrder(productVariantId: $variant, quantity: 1) {
    __typename ... on Order { id code totalWithTax lines { id quantity } } ... on ErrorResult { errorCode message } } }`;
const ADDRESS = `mutation ($customer: CreateCustomerInput!, $address: CreateAddressInput!, $method: [ID!]!) {
    setCustomerForOrder(input: $customer) { __typename ... on ErrorResult { errorCode message } }
    setOrderShippingAddress(input: $address) { __typename ... on ErrorResult { errorCode message } }
    setOrderShippingMethod(shippingMethodId: $method) { __typename ... on ErrorResult { errorCode message } } }`;
const PAY = `mutation ($payment: PaymentInput!) {
    transitionOrderToState(state: "ArrangingPayment") { __typename ... on ErrorResult { errorCode message } }
    addPaymentToOrder(input: $payment) {
        __typename ... on Order { id code state totalWithTax lines { id quantity } } ... on ErrorResult { errorCode message } } }`;

async function vendureOrder(ask, variant, number) {
    const added = await ask('/shop-api', '', { query: ADD, variables: { variant } });
    const line = added.json.data?.addItemToOrder;
    if (line?.errorCode === 'INSUFFICIENT_STOCK_ERROR')
        return false;
    must(added, line?.__typename === 'Order');
    const token = `Authorization: Bearer ${/vendure-auth-token: *(\S+)/i.exec(added.head)[1]}\r\n`;
    const addressed = await ask('/shop-api', token, {
        query: ADDRESS,
        variables: {
            customer: { firstName: 'Ann', lastName: 'Buyer', emailAddress: `buyer-${run}-${number}@buyers.example` },
            address: { fullName: 'Ann Buyer', streetLine1: 'Main Street 1', city: 'Boston', postalCode: '02101', countryCode: 'US' },
            method: ['1'],
        },
    });
    must(addressed, ['setCustomerForOrder', 'setOrderShippingAddress', 'setOrderShippingMethod']
        .every(part => addressed.json.data?.[part]?.__typename === 'Order'));
    const paid = await ask('/shop-api', token, { query: PAY, variables: { payment: { method: 'later', metadata: {} } } });
    const { transitionOrderToState: moved, addPaymentToOrder: order } = paid.json.data ?? {};
    if (moved?.__typename !== 'Order' && /stock/i.test(JSON.stringify(moved)))
        return false;
    must(paid, order?.__typename === 'Order' && order.state === 'PaymentAuthorized');
    return true;
}

async function orders(kind, port, host, buyers, duration, limit, file) {
    const place = { shopd: shopdOrder, vendure: vendureOrder }[kind];
    const variants = readFileSync(file, 'utf8').trim().split('\n');
    const goal = Number(limit), from = performance.now();
    const counted = goal > 0 ? from : from + duration * 200, until = goal > 0 ? Infinity : from + duration * 1000;
    let started = 0, accepted = 0, refused = 0, failed = 0, all = 0;
    async function buyer() {
        const ask = connection(port, host);
        while (performance.now() < until && (goal === 0 || started < goal)) {
            const number = started++;
            const taken = await place(ask, variants[number % variants.length], number);
            const now = performance.now();
            all += taken;
            accepted += taken && now >= counted && now <= until;
            refused += !taken;
        }
    }
    await Promise.all(Array.from({ length: Number(buyers) }, () => buyer().catch(error => {
        if (goal === 0)
            throw error;
        failed++;
        console.error(error.message);
    })));
    console.log(accepted, refused, failed, ((goal > 0 ? performance.now() : until) - counted) / 1000, all);
}

async function check(port, file, least) {
    const ask = connection(port, 'localhost');
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    let bytes = 0;
    for (const line of lines) {
        const [method, to, path, , body = ''] = line.split('\t');
        const answer = await ask(path, '', body, method, to);
        const named = /product-\d+|material\d+/.exec(path + body)?.[0] ?? 'product-';
        const products = answer.body.match(/"(handle|slug)" ?: ?"product-/g) ?? [];
        const right = named.startsWith('material') ? answer.body.match(new RegExp(named, 'g'))?.length >= least
            : answer.body.includes(named);
        must(answer, answer.status === 200 && !answer.json.errors && products.length >= Number(least) && right);
        bytes += Buffer.byteLength(answer.body);
    }
    console.log(Math.round(bytes / lines.length));
}

await { orders, check }[command](...rest);
process.exit(0);
