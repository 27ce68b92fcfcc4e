// shop.js: comfort on top of pages that work without it: choosing variants, stepping quantities, looking through pictures.
"use strict";

document.documentElement.classList.add("js");

// ---- pictures ----

function setUpGallery(gallery) {
    const track = gallery.querySelector(".gallery-track");
    const pictures = [...track.querySelectorAll("img")];
    const thumbs = [...gallery.querySelectorAll(".gallery-thumbs a")];
    if (pictures.length < 2)
        return () => {};
    const smooth = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    const mark = index => thumbs.forEach((thumb, i) => {
        if (i === index)
            thumb.setAttribute("aria-current", "true");
        else
            thumb.removeAttribute("aria-current");
    });
    const show = index => {
        const left = pictures[index].offsetLeft - pictures[0].offsetLeft;
        track.scrollTo({left, behavior: smooth ? "smooth" : "auto"});
        mark(index);
    };
    thumbs.forEach((thumb, index) => thumb.addEventListener("click", event => {
        event.preventDefault();
        show(index);
    }));
    track.addEventListener("scrollend", () => mark(Math.round(track.scrollLeft / track.clientWidth)));
    mark(0);
    return source => {
        const index = pictures.findIndex(picture => picture.getAttribute("src") === source);
        if (index >= 0)
            show(index);
    };
}

// ---- quantities ----

function setUpQuantity(box) {
    const input = box.querySelector("input");
    const buttons = [...box.querySelectorAll("[data-step]")];
    const limit = () => buttons.forEach(button => {
        const next = Number(input.value) + Number(button.dataset.step);
        button.disabled = next < Number(input.min) || next > Number(input.max);
    });
    buttons.forEach(button => {
        button.hidden = false;
        button.addEventListener("click", () => {
            input.value = Number(input.value) + Number(button.dataset.step);
            limit();
            input.dispatchEvent(new Event("change", {bubbles: true}));
        });
    });
    input.addEventListener("input", limit);
    limit();
}

// In the cart a new quantity is sent by itself, once the shopper has stopped clicking.
function setUpLine(form) {
    let timer = 0;
    form.querySelector("[data-update]").hidden = true;
    form.addEventListener("change", () => {
        clearTimeout(timer);
        timer = setTimeout(() => form.reportValidity() && form.submit(), 500);
    });
}

// ---- variants ----

function element(name, className, text) {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = text;
    return made;
}

// The parts of a variant's title are its options' values; null when a value itself holds the separator.
function variantParts(radios, count) {
    const parts = radios.map(radio => radio.dataset.title.split(" / "));
    return count > 1 && parts.every(part => part.length === count) ? parts : null;
}

// Replaces the list of all variants by one row of buttons per option; the list stays in the form, hidden, and is what is sent.
function setUpOptions(fieldset, radios, names, parts, chosen) {
    const picked = [...parts[radios.findIndex(radio => radio.checked)] || parts[0]];
    const rows = names.map((name, at) => {
        const row = element("fieldset", "choices", "");
        const legend = element("legend", "", name);
        const value = element("span", "choice-value", "");
        legend.append(value);
        const pills = element("div", "pills", "");
        [...new Set(parts.map(part => part[at]))].forEach(text => {
            const pill = element("label", "pill", "");
            const input = document.createElement("input");
            input.type = "radio";
            input.name = `option-${at}`;
            input.value = text;
            input.setAttribute("form", "no-form");
            input.addEventListener("change", () => {
                picked[at] = text;
                choose();
            });
            pill.append(input, element("span", "pill-face", text));
            pills.append(pill);
        });
        row.append(legend, pills);
        return {row, value, pills, at};
    });
    const find = values => parts.findIndex(part => part.every((value, at) => value === values[at]));
    const choose = () => {
        const index = find(picked);
        radios.forEach((radio, i) => { radio.checked = i === index && !radio.disabled; });
        rows.forEach(({value, pills, at}) => {
            value.textContent = picked[at];
            pills.querySelectorAll("label").forEach(pill => {
                const input = pill.firstElementChild;
                const other = find(picked.map((text, i) => (i === at ? input.value : text)));
                input.checked = input.value === picked[at];
                pill.classList.toggle("pill-gone", other < 0 || radios[other].disabled);
            });
        });
        chosen(radios[index] || null);
    };
    fieldset.before(...rows.map(({row}) => row));
    fieldset.hidden = true;
    choose();
}

function setUpProduct(product) {
    const gallery = product.querySelector("[data-gallery]");
    const showPicture = gallery ? setUpGallery(gallery) : () => {};
    const fieldset = product.querySelector("[data-variants]");
    if (!fieldset)
        return;
    const radios = [...fieldset.querySelectorAll("input[type=radio]")];
    const price = product.querySelector("[data-price] .price");
    const button = product.querySelector("[data-buy-button]");
    const label = button && button.querySelector("span");
    const addText = label && label.textContent;
    const before = fieldset.dataset.beforeText;
    let first = true;

    const chosen = radio => {
        const free = radio !== null && !radio.disabled;
        if (button) {
            button.disabled = !free;
            label.textContent = free ? addText : button.dataset.soldOut;
        }
        if (radio === null)
            return;
        const was = radio.dataset.was;
        price.classList.toggle("price-sale", was !== "");
        price.replaceChildren(element("span", "price-now", radio.dataset.price));
        if (was !== "") {
            const old = element("s", "price-was", was);
            old.prepend(element("span", "sr-only", `${before} `));
            price.append(" ", old);
        }
        if (radio.dataset.picture && !first)
            showPicture(radio.dataset.picture);
        first = false;
    };

    const start = radios.find(radio => !radio.disabled);
    if (start)
        start.checked = true;
    const names = fieldset.dataset.options.split("|").filter(name => name !== "");
    const parts = variantParts(radios, names.length);
    if (parts) {
        setUpOptions(fieldset, radios, names, parts, chosen);
        return;
    }
    radios.forEach(radio => radio.addEventListener("change", () => chosen(radio)));
    chosen(start || null);
}

// ---- checkout ----

function setUpCheckout(form) {
    const shipping = form.querySelector("[data-shipping]");
    const total = form.querySelector("[data-total]:not(input)");
    form.querySelectorAll("input[name=shipping_method]").forEach(radio => radio.addEventListener("change", () => {
        if (!shipping || !radio.dataset.total)
            return;
        shipping.textContent = radio.dataset.price;
        total.textContent = radio.dataset.total;
    }));
    const country = form.querySelector("[name=country]");
    const needPostalCode = () => {
        form.querySelector("[name=postal_code]").required = !country.selectedOptions[0].hasAttribute("data-postal-code-optional");
    };
    country.addEventListener("change", needPostalCode);
    needPostalCode();
    form.addEventListener("submit", () => { form.querySelector("button[type=submit]").disabled = true; });
    addEventListener("pageshow", () => { form.querySelector("button[type=submit]").disabled = false; });
    const wrong = form.querySelector("[aria-invalid]");
    if (wrong)
        wrong.focus();
}

document.querySelectorAll("[data-quantity]").forEach(setUpQuantity);
document.querySelectorAll("[data-line]").forEach(setUpLine);
document.querySelectorAll("[data-product]").forEach(setUpProduct);
document.querySelectorAll("[data-checkout]").forEach(setUpCheckout);
document.addEventListener("click", event => {
    document.querySelectorAll("details.menu[open]").forEach(menu => {
        if (!menu.contains(event.target))
            menu.open = false;
    });
});
