export type Language = "js" | "python" | "shell";
export type TokenKind = "plain" | "comment" | "string" | "keyword" | "name";
export type Token = { kind: TokenKind; text: string };

const KEYWORDS: Readonly<Record<Language, ReadonlySet<string>>> = {
  js: new Set(["import", "from", "const", "let", "new", "await", "async", "return", "export"]),
  python: new Set(["import", "from", "with", "as", "def", "return", "for", "in", "async", "await"]),
  shell: new Set(["export", "curl", "npm", "npx", "pip", "claude"]),
};

// One alternative per kind, in order of precedence. A comment needs a blank before it, so that the // of a URL is none.
const PATTERNS: Readonly<Record<Language, RegExp>> = {
  js: /(?<comment>(?<=^|\s)\/\/.*)|(?<string>"[^"\n]*"|'[^'\n]*'|`[^`]*`)|(?<word>[A-Za-z_$][\w$]*)/gm,
  python: /(?<comment>(?<=^|\s)#.*)|(?<string>"[^"\n]*"|'[^'\n]*')|(?<word>[A-Za-z_]\w*)/gm,
  shell: /(?<comment>(?<=^|\s)#.*)|(?<string>"[^"\n]*"|'[^'\n]*')|(?<word>[A-Za-z_][\w-]*)/gm,
};

/** Small on purpose: our own snippets only, in three languages. The tokens put together are the code, character for character. */
export function highlight(code: string, language: Language): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  for (const match of code.matchAll(PATTERNS[language])) {
    const kind = kindOf(match, code, language);
    if (kind === "plain") continue;
    if (match.index > at) tokens.push({ kind: "plain", text: code.slice(at, match.index) });
    tokens.push({ kind, text: match[0] });
    at = match.index + match[0].length;
  }
  if (at < code.length) tokens.push({ kind: "plain", text: code.slice(at) });
  return tokens;
}

function kindOf(match: RegExpExecArray, code: string, language: Language): TokenKind {
  if (match.groups?.["comment"] !== undefined) return "comment";
  if (match.groups?.["string"] !== undefined) return "string";
  if (KEYWORDS[language].has(match[0])) return "keyword";
  // What is set: `baseURL:`, `base_url=`, `export NAME=`.
  const next = code.slice(match.index + match[0].length).trimStart();
  const assigns = language === "js" ? next.startsWith(":") : next.startsWith("=") && !next.startsWith("==");
  return assigns ? "name" : "plain";
}
