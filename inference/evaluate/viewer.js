"use strict";
// The step viewer: one episode at a time, each step with its author, score, belief, break-even tokens and what followed from them.
const episodes = JSON.parse(document.getElementById("episodes").textContent);
const policyMenu = document.getElementById("policy");
const problemMenu = document.getElementById("problem");
const shown = document.getElementById("episode");
const CLASSES = [["right so far", "#4c9f70"], ["derailed", "#b23a48"], ["newest step wrong", "#e09f3e"]];

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function unique(values) { return [...new Set(values)]; }

function fill(menu, values) {
  for (const value of values) {
    const option = element("option", "", value);
    option.value = value;
    menu.append(option);
  }
}

function beliefBar(belief) {
  const bar = element("div", "belief");
  belief.forEach((share, index) => {
    const part = element("span", "");
    part.style.width = `${100 * share}%`;
    part.style.background = CLASSES[index][1];
    part.title = `${CLASSES[index][0]}: ${share.toFixed(3)}`;
    bar.append(part);
  });
  return bar;
}

const RULES = {
  "agg": "by the learned policy", "seq": "by the learned policy", "random": "by a coin",
  "one-step-thr": "by the threshold, and all that follows its first rewrite",
};

function why(step, policy) {
  if (step.action === null) return "one model works alone: nothing is decided";
  const verdict = step.action === "regenerate" ? "rewritten by the strong model" : "accepted";
  const [family, setting] = policy.split(":");
  if (family === "thr") return `${verdict}: score ${step.score.toFixed(3)} ${step.score < Number(setting) ? "<" : "≥"} ${setting}`;
  if (step.break_even_tokens === null) return `${verdict} ${RULES[family] || "by a rule on the score"}`;
  const sign = step.expected_strong_tokens < step.break_even_tokens ? "<" : "≥";
  return `${verdict}: expected cost ${step.expected_strong_tokens.toFixed(1)} ${sign} break-even ${step.break_even_tokens.toFixed(1)} tokens`;
}

function row(step, index, policy) {
  const line = element("tr", step.author);
  line.append(element("td", "number", String(index + 1)), element("td", "author", step.author));
  line.append(element("td", "step", step.text));
  line.append(element("td", "number", step.score === null ? "" : step.score.toFixed(3)));
  const belief = element("td", "");
  if (step.belief !== null) belief.append(beliefBar(step.belief));
  line.append(belief, element("td", "number", String(step.tokens)), element("td", "why", why(step, policy)));
  return line;
}

function show() {
  const found = episodes.find((e) => e.policy === policyMenu.value && e.problem_id === problemMenu.value);
  shown.replaceChildren();
  shown.append(element("p", "question", found.problem));
  const graded = { true: "right", false: "wrong", null: "not graded" }[String(found.correct)];
  shown.append(element("p", `verdict ${graded.replace(" ", "-")}`,
    `${graded}; ${found.strong_tokens} strong and ${found.weak_tokens} weak tokens, of which ${found.discarded_tokens} discarded; ended by ${found.ending}`));
  const table = element("table", "steps");
  const head = element("tr", "");
  for (const name of ["step", "author", "text", "score of the proposal", "belief", "tokens", "why"]) head.append(element("th", "", name));
  table.append(head, ...found.steps.map((step, index) => row(step, index, found.policy)));
  const scroll = element("div", "scroll");
  scroll.append(table);
  shown.append(scroll);
}

fill(policyMenu, unique(episodes.map((e) => e.policy)));
fill(problemMenu, unique(episodes.map((e) => e.problem_id)));
policyMenu.value = (episodes.find((e) => e.policy.startsWith("pomdp:")) || episodes[0]).policy;
for (const [name, colour] of CLASSES) {
  const key = element("span", "key", name);
  key.style.setProperty("--colour", colour);
  document.getElementById("classes").append(key);
}
policyMenu.addEventListener("change", show);
problemMenu.addEventListener("change", show);
show();
