/** Next hands on a segment of the path as it stands in the address. What is no percent-encoding is taken as it is. */
export function decodedSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
