/** Sources of photos: file dialog, drop, paste, example. */

const part = (id) => document.getElementById(id);

/**
 * Listen to all sources but the camera.
 *
 * @param {(files: File[]) => void} take called with the photos or the video that were chosen
 * @param {(error: Error) => void} complain called with each error
 */
export function listen(take, complain) {
  const file = part("file");
  const takeAll = (files) => files?.length && take([...files]);
  part("choose").addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    takeAll(file.files);
    file.value = ""; // so that the same photo can be chosen again
  });
  document.addEventListener("paste", (event) => takeAll(event.clipboardData.files));
  listenToDrops(takeAll);
  part("demo").addEventListener("click", async () => {
    const answer = await fetch("demo.jpg").catch(() => null);
    if (answer?.ok) take([new File([await answer.blob()], "example.jpg", { type: "image/jpeg" })]);
    else complain(new Error("the service does not answer; check that it still runs, and try again"));
  });
}

/** Take what is dropped anywhere on the page. */
function listenToDrops(takeAll) {
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
    takeAll(event.dataTransfer.files);
  });
}

/** Return whether a file is a video. */
export function isVideo({ type, name }) {
  return type.startsWith("video/") || /\.(mp4|m4v|mov|webm|mkv|avi|ogv)$/i.test(name);
}
