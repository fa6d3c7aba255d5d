// Drawing the plan: boxes follow the mouse, the finger and the arrow keys, and the numbers that are sent follow the boxes.
"use strict";
const svg = document.getElementById("drawing");
const STEP = 10, SIDES = { x: "x", y: "y", w: "width", h: "height" };
const input = (thing, side) => document.getElementsByName(`${thing.dataset.thing}.${side}`)[0];

function put(thing, side, value) {
  input(thing, side).value = Math.max(side === "w" || side === "h" ? 40 : 0, Math.round(value / STEP) * STEP);
  show(thing);
}

function show(thing) {
  const rect = thing.querySelector("rect"), text = thing.querySelector("text");
  for (const [side, attribute] of Object.entries(SIDES)) rect.setAttribute(attribute, input(thing, side).value);
  text.setAttribute("x", Number(input(thing, "x").value) + 10);
  text.setAttribute("y", Number(input(thing, "y").value) + 22);
}

function point(event) {
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  return [at.x, at.y];
}

let held = null;
svg.addEventListener("pointerdown", (event) => {
  const thing = event.target.closest("[data-thing]");
  if (!thing) return;
  const [x, y] = point(event), side = (name) => Number(input(thing, name).value);
  const isCorner = x > side("x") + side("w") - 16 && y > side("y") + side("h") - 16;
  held = { thing, x, y, isCorner, from: { x: side("x"), y: side("y"), w: side("w"), h: side("h") } };
  thing.focus({ preventScroll: true });
  svg.setPointerCapture(event.pointerId);
  event.preventDefault();
});
svg.addEventListener("pointermove", (event) => {
  if (!held) return;
  const [x, y] = point(event), names = held.isCorner ? ["w", "h"] : ["x", "y"];
  put(held.thing, names[0], held.from[names[0]] + x - held.x);
  put(held.thing, names[1], held.from[names[1]] + y - held.y);
});
for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, () => { held = null; });

const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
svg.addEventListener("keydown", (event) => {
  const thing = event.target.closest("[data-thing]"), way = KEYS[event.key];
  if (!thing || !way) return;
  event.preventDefault();
  const names = event.shiftKey ? ["w", "h"] : ["x", "y"];
  names.forEach((name, at) => { if (way[at]) put(thing, name, Number(input(thing, name).value) + way[at] * STEP); });
});
document.querySelector("form .numbers").addEventListener("input", (event) => {
  const thing = svg.querySelector(`[data-thing="${CSS.escape(event.target.name.slice(0, -2))}"]`);
  if (thing) show(thing);
});
