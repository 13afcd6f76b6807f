/** The text fields of a form, or why it cannot be read in one way only. */
export type MultipartFields = { ok: true; fields: Map<string, string>; repeated: string[] } | { ok: false; message: string };

const CRLF = "\r\n";
/** RFC 2046 §5.1.1. */
const BOUNDARY = /^[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]$/;
const PART_HEADER_BYTES_MAX = 16 * 1024;
const FIELD_BYTES_MAX = 64 * 1024;
const PARTS_MAX = 1000;

/** The boundary of a `multipart/form-data` content type; undefined for any other. */
export function multipartBoundary(contentType: string): string | undefined {
  if (!/^multipart\/form-data\s*(?:;|$)/i.test(contentType)) return undefined;
  const found = [...contentType.matchAll(/;\s*boundary\s*=\s*(?:"([^"\\]*)"|([^\s;"]*))/gi)];
  const boundary = found.length === 1 ? (found[0]![1] ?? found[0]![2] ?? "") : "";
  return BOUNDARY.test(boundary) ? boundary : undefined;
}

/**
 * Reads the text fields of a form and passes over its files. Forms are read differently by different servers (bare line feeds,
 * encoded names, text after the end), and what we read decides a price: whatever is not written the one way everybody reads is
 * refused.
 *
 * @param names the fields that are wanted; others are passed over.
 */
export function readMultipart(body: Uint8Array, boundary: string, names: ReadonlySet<string>): MultipartFields {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const delimiter = `--${boundary}`;
  const fields = new Map<string, string>();
  const repeated: string[] = [];
  let at = findDelimiter(bytes, delimiter, 0);
  if (at === -1) return refused("has no part");
  if (at === MALFORMED) return refused("is not delimited by CRLF");

  for (let parts = 0; parts < PARTS_MAX; parts += 1) {
    const after = at + delimiter.length;
    if (bytes.toString("latin1", after, after + 2) === "--") {
      return findDelimiter(bytes, delimiter, after) === -1 ? { ok: true, fields, repeated } : refused("goes on after its end");
    }
    const headersStart = bytes.indexOf(CRLF, after) + CRLF.length;
    const contentStart = bytes.indexOf(CRLF + CRLF, headersStart - CRLF.length) + 2 * CRLF.length;
    if (contentStart < 2 * CRLF.length || contentStart - headersStart > PART_HEADER_BYTES_MAX) return refused("has a part without headers");
    const next = findDelimiter(bytes, delimiter, contentStart);
    if (next === -1 || (next >= 0 && next < contentStart + CRLF.length)) return refused("has a part without an end of its own");
    if (next === MALFORMED) return refused("is not delimited by CRLF");

    const disposition = readDisposition(bytes.toString("latin1", headersStart, Math.max(headersStart, contentStart - 2 * CRLF.length)));
    if (!disposition) return refused("has a part whose headers can be read in more than one way");
    const { name, isFile } = disposition;
    if (!isFile && names.has(name)) {
      const contentEnd = next - CRLF.length;
      if (contentEnd - contentStart > FIELD_BYTES_MAX) return refused(`has a field ${name} that is too long`);
      if (fields.has(name)) repeated.push(name);
      fields.set(name, bytes.toString("utf8", contentStart, contentEnd));
    } else if (isFile && names.has(name)) return refused(`has a file where the field ${name} belongs`);
    at = next;
  }
  return refused(`has more than ${PARTS_MAX} parts`);
}

const refused = (message: string): MultipartFields => ({ ok: false, message: `the form ${message}` });

/** The delimiter stands after a lone CR or LF, which some servers take for a line end and others for content. */
const MALFORMED = -2;

/** The next delimiter that stands on a line of its own. */
function findDelimiter(bytes: Buffer, delimiter: string, start: number): number {
  for (let at = bytes.indexOf(delimiter, start); at !== -1; at = bytes.indexOf(delimiter, at + 1)) {
    const before = at === 0 ? CRLF : bytes.toString("latin1", Math.max(0, at - 2), at);
    const after = /^(?:--|[ \t]*\r\n)/.test(bytes.toString("latin1", at + delimiter.length, at + delimiter.length + 128));
    if (before === CRLF && after) return at;
    if (before.endsWith("\n") || before.endsWith("\r")) return MALFORMED;
  }
  return -1;
}

/** Name of a part; undefined when its headers leave room for doubt. */
function readDisposition(headers: string): { name: string; isFile: boolean } | undefined {
  let disposition: string | undefined;
  for (const line of headers.split(CRLF)) {
    const colon = line.indexOf(":");
    if (colon <= 0 || /[\r\n\0]/.test(line) || /^[ \t]/.test(line)) return undefined;
    const header = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (header === "content-transfer-encoding" && !/^(?:binary|7bit|8bit)$/i.test(value)) return undefined;
    if (header !== "content-disposition") continue;
    if (disposition !== undefined) return undefined;
    disposition = value;
  }
  if (disposition === undefined) return undefined;
  let name: string | undefined;
  let isFile = false;
  let rest = disposition;
  const type = /^form-data\s*(?=;|$)/i.exec(rest);
  if (!type) return undefined;
  rest = rest.slice(type[0].length);
  while (rest !== "") {
    const parameter = /^;\s*([A-Za-z*0-9_-]+)=(?:"([^"\\]*)"|([^\s;"\\]+))\s*/.exec(rest);
    const key = parameter?.[1]!.toLowerCase();
    // A file's name may be written with escapes, or in RFC 5987 form; only that it is a file matters.
    const file = parameter && key?.startsWith("filename") ? parameter : /^;\s*filename\*?=(?:"(?:[^"\\]|\\.)*"|[^\s;]+)\s*/i.exec(rest);
    if (file) {
      isFile = true;
      rest = rest.slice(file[0].length);
      continue;
    }
    if (!parameter || key !== "name" || name !== undefined) return undefined;
    name = parameter[2] ?? parameter[3] ?? "";
    rest = rest.slice(parameter[0].length);
  }
  return name === undefined ? undefined : { name, isFile };
}
