/** The form to log in; the server shows it in place of the page. */

const form = document.getElementById("login");
const message = document.getElementById("message");
const button = form.querySelector("button");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  message.textContent = "";
  try {
    const response = await fetch("/login", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(Object.fromEntries(new FormData(form))),
    });
    if (response.ok) {
      location.reload();
      return;
    }
    const body = await response.json().catch(() => ({}));
    message.textContent = body.message ?? `The server answers ${response.status}.`;
    form.elements.password.select();
  } catch {
    message.textContent = "The page's server does not answer.";
  }
  button.disabled = false;
});
