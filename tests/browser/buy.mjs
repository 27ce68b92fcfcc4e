// buy.mjs: buys in both sample shops as people do, on a phone and a desktop page, with JavaScript and without.
// buy.mjs PORT [PICTURES_DIR]; the environment's TEST runs only the tests whose name contains it.
import fs from 'node:fs';
import {createRequire} from 'node:module';
import {chromium} from 'playwright-core';

const [port, pictures] = process.argv.slice(2);
const axe = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const SHOPS = [
    {slug: 'acme', language: 'es', search: 'lino', choices: '/products/taza-de-gres-duna', choice: 'Azul', plain: '/products/tetera-bruma', soldOut: '/products/vela-de-soja-lena', primary: 'rgb(138, 63, 38)', postcode: '40001'},
    {slug: 'beta', language: 'en', search: 'coffee', choices: '/products/trail-enamel-mug', choice: 'Pine', plain: '/products/field-hand-grinder', soldOut: null, primary: 'rgb(31, 77, 67)', postcode: 'EH1 1AA'},
];
const DEVICES = [
    {name: 'a phone', file: 'phone', viewport: {width: 390, height: 844}, isMobile: true, hasTouch: true, deviceScaleFactor: 2},
    {name: 'a desktop', file: 'desktop', viewport: {width: 1280, height: 800}},
];

function check(condition, message) {
    if (!condition)
        throw new Error(message);
}

// One shopper: a browser with its own cookies, whose every page is looked at.
class Shopper {
    constructor(shop, device, script) {
        Object.assign(this, {shop, device, script, trouble: [], base: `http://${shop.slug}.localhost:${port}`});
    }

    async open(browser) {
        const {name, file, ...options} = this.device;
        this.context = await browser.newContext({...options, javaScriptEnabled: this.script, reducedMotion: 'reduce'});
        this.context.setDefaultTimeout(20000);
        this.page = await this.context.newPage();
        this.page.on('console', message => this.expected || (message.type() === 'error' && this.trouble.push(message.text())));
        this.page.on('pageerror', error => this.trouble.push(error.message));
        this.page.on('request', request => {
            if (!request.url().startsWith(this.base) && !request.url().startsWith('data:'))
                this.trouble.push(`asks another host: ${request.url()}`);
        });
        this.page.on('response', response => {
            if (response.status() >= 400 && !this.expected)
                this.trouble.push(`${response.status()} ${response.url()}`);
        });
    }

    async go(path, status = 200) {
        this.expected = status >= 400;
        const response = await this.page.goto(this.base + path);
        check(response.status() === status, `${path} answers ${response.status()}, not ${status}`);
    }

    // What must hold on every page; `name` is what its picture is called.
    async look(name) {
        const page = this.page;
        check(await page.locator('html').getAttribute('lang') === this.shop.language, `${name}: the language is wrong`);
        check(await page.locator('h1').count() === 1, `${name}: has ${await page.locator('h1').count()} h1`);
        const source = await page.content();
        check(!/\sstyle="|<style|<script(?![^>]*\ssrc=)|\son[a-z]+="/.test(source), `${name}: has inline style or script`);
        check(!/\{\{|\}\}/.test(source), `${name}: has a tag of the template left`);
        if (this.script) {
            const wide = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
            check(wide <= 0, `${name}: is ${wide} px too wide`);
            await page.evaluate('document.querySelectorAll("img[loading=lazy]").forEach(image => { image.loading = "eager"; })');
            await this.until('[...document.images].every(image => image.complete)', `${name}: pictures go on loading`);
            const broken = await page.evaluate('[...document.images].filter(image => image.naturalWidth === 0).map(image => image.src)');
            check(broken.length === 0, `${name}: these pictures don't load: ${broken}`);
            const session = await this.context.newCDPSession(page);
            await session.send('Runtime.evaluate', {expression: axe});    // the page's policy forbids a script tag
            const {result} = await session.send('Runtime.evaluate', {
                expression: `axe.run().then(r => r.violations.map(v => v.id + ': ' + v.help + ' ' + v.nodes.map(n => n.target)).join('\\n'))`,
                awaitPromise: true,
            });
            await session.detach();
            check(result.value === '', `${name}: axe says ${result.value ?? JSON.stringify(result)}`);
        }
        await this.picture(name);
        if (this.script && this.device.isMobile)
            await this.lookAtNarrow(name);
        check(this.trouble.length === 0, `${name}: ${this.trouble.join('; ')}`);
    }

    // The narrowest phones: nothing is cut off, and what a button says stands in one line.
    async lookAtNarrow(name) {
        for (const width of [360, 320]) {
            await this.page.setViewportSize({width, height: 640});
            const wide = await this.page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
            check(wide <= 0, `${name}: is ${wide} px too wide at ${width}`);
            const tall = await this.page.evaluate('[...document.querySelectorAll(".button")].filter(button => button.offsetHeight > 60).map(button => button.textContent.trim())');
            check(tall.length === 0, `${name}: these buttons break at ${width}: ${tall}`);
            await this.picture(name, width);
        }
        await this.page.setViewportSize(this.device.viewport);
    }

    async picture(name, width = '') {
        const file = `${this.shop.slug}-${this.device.file}${width}${this.script ? '' : '-no-script'}-${name}.png`;
        if (pictures)
            await this.page.screenshot({path: `${pictures}/${file}`, fullPage: true});
    }

    // Playwright's own waiting evaluates texts, which the page's policy forbids.
    async until(expression, message) {
        const end = Date.now() + 10000;
        while (!await this.page.evaluate(expression)) {
            check(Date.now() < end, message);
            await this.page.waitForTimeout(50);
        }
    }

    async submit(locator) {
        await Promise.all([this.page.waitForEvent('load'), locator.click()]);
    }

    async fill(fields) {
        for (const [name, value] of Object.entries(fields))
            await this.page.locator(`[name=${name}]`).fill(value);
    }

    badge() {
        return this.page.locator('.cart-link .badge').textContent();
    }
}

// "1.234,50 €" and "£1,234.50" in minor units.
const minor = text => Number(text.replace(/[^0-9]/g, ''));

async function looksAround(shopper) {
    const {page, shop} = shopper;
    await shopper.go('/');
    check(await page.locator('.hero').evaluate(hero => getComputedStyle(hero).backgroundColor) === shop.primary, "the hero isn't in the shop's colour");
    check(await page.locator('.card').count() >= 4, 'fewer than 4 featured products');
    check(await page.locator('.tile').count() === 8, `${await page.locator('.tile').count()} categories, not 8`);
    check(await shopper.badge() === '', 'a new shopper has a number on the cart');
    await shopper.look('home');

    await shopper.submit(page.locator('.site-nav a').nth(1));
    check(/\/collections\//.test(page.url()), `the first category leads to ${page.url()}`);
    check(await page.locator('.card').count() >= 3, 'fewer than 3 products in the category');
    await shopper.look('collection');
    await page.locator('.menu summary').click();
    await shopper.submit(page.locator('.menu-list a').nth(1));
    check(await page.locator('.card').count() >= 3, 'the sorted category is empty');

    await shopper.go('/collections/all');
    if (await page.locator('.pagination').count() > 0) {
        const first = await page.locator('.card-title').first().textContent();
        await shopper.submit(page.locator('[rel=next]'));
        check(await page.locator('.card-title').first().textContent() !== first, 'page 2 shows page 1');
        await shopper.look('page-2');
    }

    await page.locator('#header-search').fill(shop.search);
    await shopper.submit(page.locator('.search-box button'));
    check(await page.locator('.card').count() >= 2, `fewer than 2 results for '${shop.search}'`);
    await shopper.look('search');
    await page.locator('#header-search').fill('<b>"qzxv');
    await shopper.submit(page.locator('.search-box button'));
    check((await page.locator('h1').textContent()).includes('<b>"qzxv'), 'what was searched is not shown as it was typed');
    check(await page.locator('.empty').count() === 1, 'no empty state for a search without results');
    await shopper.look('search-nothing');

    await shopper.go('/products/there-is-no-such-thing', 404);
    await shopper.look('not-found');
    shopper.expected = false;
    await shopper.go('/cart');
    await shopper.look('cart-empty');
}

async function fillsTheCart(shopper) {
    const {page, shop, script} = shopper;
    await shopper.go(shop.choices);
    const choice = page.locator(`[data-variants] label:has(input[data-title="${shop.choice}"])`);
    if (script)
        check(await page.locator('[name=variant_id]:checked').count() === 1, 'no variant is chosen at first');
    await choice.click();
    const price = await choice.locator('input').getAttribute('data-price');
    if (script) {
        check((await page.locator('[data-price] .price-now').textContent()).trim() === price, "the price isn't that of the variant");
        const picture = await choice.locator('input').getAttribute('data-picture');
        await shopper.until(`document.querySelector('.gallery-thumbs [aria-current] img').getAttribute('src') === ${JSON.stringify(picture)}`,
            "the variant's picture is not shown");
    }
    await shopper.look('product');
    await shopper.submit(page.locator('.buy [type=submit]'));
    check(new URL(page.url()).pathname === '/cart', `buying leads to ${page.url()}`);
    check((await page.locator('.line-text').textContent()).includes(shop.choice), "the cart doesn't name the variant");
    check(minor(await page.locator('.line-total').textContent()) === minor(price), "the line's price is another");
    check(await shopper.badge() === '1', `the cart's number is '${await shopper.badge()}', not 1`);

    const quantity = page.locator('.line .quantity-input');
    if (script) {
        await shopper.submit(page.locator('.line [data-step="1"]'));
    } else {
        await quantity.fill('2');
        await shopper.submit(page.locator('[data-update]'));
    }
    check(await quantity.inputValue() === '2', 'the new quantity is not kept');
    check(minor(await page.locator('.line-total').textContent()) === 2 * minor(price), "the line's total isn't twice the price");
    check(await shopper.badge() === '2', `the cart's number is '${await shopper.badge()}', not 2`);

    await shopper.go(shop.plain);
    await shopper.submit(page.locator('.buy [type=submit]'));
    check(await page.locator('.line').count() === 2, 'the second product is not in the cart');
    await shopper.look('cart');
    await shopper.submit(page.locator('.line').nth(1).locator('.line-remove button'));
    check(await page.locator('.line').count() === 1, 'the removed product is still in the cart');
    if (shop.soldOut) {
        await shopper.go(shop.soldOut);
        check(await page.locator('.buy button[disabled]').count() === 1, 'what is sold out can be bought');
        await shopper.look('sold-out');
    }
}

async function pays(shopper) {
    const {page, shop, script} = shopper;
    await shopper.go('/cart');
    const subtotal = minor(await page.locator('.totals-sum dd').textContent());
    await shopper.submit(page.locator('a[href="/checkout"]'));
    await shopper.look('checkout');
    const country = await page.locator('[name=country]').inputValue();
    check(country.length === 2, `the country is '${country}'`);
    shopper.expected = true;
    await shopper.fill({email: 'ana@shopper.example', name: '  ', line1: 'Calle Mayor 12', city: 'Segovia', postal_code: shop.postcode});
    await shopper.submit(page.locator('form[data-checkout] [type=submit]'));
    check(await page.locator('[role=alert]').count() === 1, 'a form with a fault gets no message');
    check(await page.locator('#name-error').count() === 1, 'the fault is not shown beside its field');
    check(await page.locator('[name=city]').inputValue() === 'Segovia', 'what was typed is lost');
    await shopper.look('checkout-errors');
    shopper.expected = false;

    await page.locator('[name=country]').selectOption('HK');    // where nobody has a postal code
    await shopper.fill({name: 'Ana <Ruiz> & "hija"', postal_code: ''});
    const countryName = (await page.locator('[name=country] option:checked').textContent()).trim();
    await page.locator('label:has([value=cash_on_delivery])').click();
    const method = page.locator('[name=shipping_method]').last();
    await page.locator('label:has([name=shipping_method])').last().click();
    const shipping = minor(await method.getAttribute('data-price'));
    if (script)
        check(minor(await page.locator('dd[data-total]').textContent()) === subtotal + shipping, 'the total does not follow the shipping method');
    await shopper.submit(page.locator('form[data-checkout] [type=submit]'));
    check(/^\/orders\/[A-Za-z0-9_-]{16,}/.test(new URL(page.url()).pathname), `the order is at ${page.url()}`);
    check(await page.locator('.mini-line').count() === 1, 'the order has not one line');
    check(minor(await page.locator('.totals-sum dd').textContent()) === subtotal + shipping, "the order's total is another");
    check((await page.locator('address').textContent()).includes('Ana <Ruiz> & "hija"'), 'the name is not as it was typed');
    check((await page.locator('address').textContent()).includes(countryName), "the address doesn't name the country");
    check(await shopper.badge() === '', 'the cart is not empty after buying');
    await shopper.look('order');
    return page.url();
}

async function comesBack(shopper, browser, address) {
    const later = new Shopper(shopper.shop, shopper.device, shopper.script);
    await later.open(browser);
    try {
        const path = new URL(address).pathname;
        await later.go(path);
        await later.look('order-later');
        await later.go(path.slice(0, -4) + (path.endsWith('AAAA') ? 'BBBB' : 'AAAA'), 404);
    } finally {
        await later.context.close();
    }
}

async function buys(browser, shop, device, script) {
    const shopper = new Shopper(shop, device, script);
    await shopper.open(browser);
    try {
        await looksAround(shopper);
        await fillsTheCart(shopper);
        await comesBack(shopper, browser, await pays(shopper));
    } catch (error) {
        await shopper.picture('failed').catch(() => {});
        throw new Error(`${error.message}\n  at ${shopper.page.url()}`);
    } finally {
        await shopper.context.close();
    }
}

// Words that are longer than a phone is wide, in each place that a shop or a shopper writes into.
async function writesLongWords(shopper) {
    const {page} = shopper, word = 'Donaudampfschifffahrtsgesellschaftskapitaensmuetzenabzeichen';
    for (const path of ['/', '/collections/all', `/search?q=${word}`, `/search?q=x${word}`, '/products/wide']) {
        await shopper.go(path);
        await shopper.look(`wide-${path.replace(/[^a-z]+/g, '-')}`);
    }
    await shopper.submit(page.locator('.buy [type=submit]'));
    await shopper.look('wide-cart');
    await shopper.go('/checkout');
    await shopper.look('wide-checkout');
    await shopper.fill({email: `${word}@b.example`, name: word, line1: word, line2: word, city: word, region: word, postal_code: 'EH1 1AA'});
    await shopper.submit(page.locator('form[data-checkout] [type=submit]'));
    await shopper.look('wide-order');
}

async function breaksLongWords(browser, device) {
    const shopper = new Shopper({slug: 'wide', language: 'en'}, device, true);
    await shopper.open(browser);
    try {
        await writesLongWords(shopper);
    } catch (error) {
        await shopper.picture('failed').catch(() => {});
        throw new Error(`${error.message}\n  at ${shopper.page.url()}`);
    } finally {
        await shopper.context.close();
    }
}

const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
        '--host-resolver-rules=MAP *.localhost 127.0.0.1'],
});
let passed = 0, failed = 0;
async function test(name, run) {
    if (!name.includes(process.env.TEST ?? ''))
        return;
    try {
        await run();
        passed++;
    } catch (error) {
        failed++;
        console.log(`FAILED: ${name}: ${error.message}`);
    }
}
for (const device of DEVICES) {
    for (const shop of SHOPS)
        for (const script of [true, false])
            await test(`${shop.slug} sells on ${device.name} ${script ? 'with' : 'without'} JavaScript`, () => buys(browser, shop, device, script));
    await test(`long words break on ${device.name}`, () => breaksLongWords(browser, device));
}
await browser.close();
console.log(`browser: ${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
