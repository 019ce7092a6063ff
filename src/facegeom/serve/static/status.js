/** What the page says: state and progress, errors. */

const part = (id) => document.getElementById(id);

/** Say what goes on; a fraction in [0, 1] is shown as a bar. */
export function say(text, fraction) {
  part("status").textContent = text;
  part("bar").hidden = fraction === undefined;
  if (fraction !== undefined) part("bar").value = fraction;
}

/** Say how much of the networks has come, bytes. */
export function sayLoading(loaded, total) {
  say(`Loading the networks… ${Math.round((100 * loaded) / total)} %`, loaded / total);
}

/**
 * Show errors, each with the file that it concerns; none hides the message.
 *
 * @param {{error: Error, file?: string}[]} failed
 */
export function complain(...failed) {
  const texts = failed.map(({ error, file }) => {
    const sentences = error.message.replace(/\.$/, "").split("; ");
    if (file) sentences[0] = `${file} was not analyzed: ${sentences[0]}`;
    return `${sentences.map((sentence, index) => (index || !file ? capital(sentence) : sentence)).join(". ")}.`;
  });
  part("error").textContent = texts.join("\n");
  part("error").hidden = !texts.length;
}

/** Show whether work goes on that can be cancelled. */
export function busy(on) {
  part("picture").classList.toggle("busy", on);
  part("cancel").hidden = !on;
  if (on) part("smaller").hidden = true;
  else part("bar").hidden = true;
}

function capital(sentence) {
  return sentence[0].toUpperCase() + sentence.slice(1);
}
