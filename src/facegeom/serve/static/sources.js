/** Sources of a photo: file dialog, drop, paste, camera, example. */

import { Camera } from "./camera.js";

const part = (id) => document.getElementById(id);

/**
 * Listen to all sources.
 *
 * @param {(blob: Blob, name: string) => void} take called with each photo.
 * @param {(error: Error) => void} complain called with each error.
 */
export function listen(take, complain) {
  listenToFiles(take);
  listenToDrops(take);
  listenToCamera(take, complain);
  part("demo").addEventListener("click", async () => {
    const answer = await fetch("demo.jpg").catch(complain);
    if (answer) take(await answer.blob(), "example.jpg");
  });
}

function listenToFiles(take) {
  const file = part("file");
  const takeFirst = (files) => files?.[0] && take(files[0], files[0].name);
  part("choose").addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    takeFirst(file.files);
    file.value = ""; // so that the same photo can be chosen again
  });
  document.addEventListener("paste", (event) => takeFirst(event.clipboardData.files));
}

/** Take a photo that is dropped anywhere on the page. */
function listenToDrops(take) {
  const picture = part("picture");
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    picture.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) picture.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    picture.classList.remove("over");
    const [file] = event.dataTransfer.files;
    if (file) take(file, file.name);
  });
}

function listenToCamera(take, complain) {
  const camera = new Camera(part("video"));
  const showCamera = (on) => {
    part("video").hidden = part("shutter").hidden = !on;
    part("sources").hidden = on;
    part("picture").classList.toggle("live", on);
    part(on ? "snap" : "camera").focus();
  };
  const leave = () => {
    camera.stop();
    showCamera(false);
  };
  part("camera").addEventListener("click", () => camera.start().then(() => showCamera(true), complain));
  part("leave").addEventListener("click", leave);
  part("snap").addEventListener("click", async () => {
    const blob = await camera.photo();
    leave();
    take(blob, "camera.jpg");
  });
}
