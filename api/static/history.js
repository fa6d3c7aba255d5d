// The history page's one script: narrows the list of people while a name is typed. Nothing is sent; without it the
// list is simply long. The server folded the names (width, case, kana) into data-find; what is typed is folded alike.
"use strict";
const find = document.getElementById("look-find"), who = document.getElementById("look-who");
const folded = (text) => text.normalize("NFKC").toLowerCase().replaceAll(" ", "")
  .replace(/[ァ-ヶ]/g, (sign) => String.fromCharCode(sign.charCodeAt(0) - 0x60));
if (find && who) {
  const everybody = [...who.options].slice(1), choose = who.options[0];
  document.getElementById("look-narrow").hidden = false;
  find.addEventListener("input", () => {
    const part = folded(find.value), chosen = who.value;
    const left = everybody.filter((one) => one.dataset.find.includes(part));
    who.replaceChildren(choose, ...left);
    who.value = left.some((one) => one.value === chosen) ? chosen : "";
    if (part && left.length === 1) who.value = left[0].value;
  });
  find.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); who.focus(); } });
}
