// The operations of this server, for a page to show. Whoever registered a model wrote the descriptions in its schema:
// they may be Markdown, and must not become HTML of this page.
const DOCUMENT_URL = new URL("../openapi.json", document.currentScript.src);
// The values under these names are data, whatever they look like.
const DATA = new Set(["const", "default", "enum", "example", "examples"]);

function withoutHtml(node, isNames = false) {
  if (Array.isArray(node)) return node.map((each) => withoutHtml(each));
  if (node === null || typeof node !== "object") return node;
  return Object.fromEntries(
    Object.entries(node).map(([name, value]) => {
      if (isNames) return [name, withoutHtml(value)];
      if (DATA.has(name)) return [name, value];
      if (name === "description" && typeof value === "string") return [name, value.replaceAll("<", "&lt;")];
      return [name, withoutHtml(value, name === "properties")];
    }),
  );
}

async function safeDocument() {
  const answer = await fetch(DOCUMENT_URL);
  if (answer.ok) return withoutHtml(await answer.json());
  document.getElementById("ui").textContent = `The operations cannot be shown now (${answer.status}).`;
  throw new Error(`openapi.json: ${answer.status}`);
}
