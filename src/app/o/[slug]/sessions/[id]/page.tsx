import type { Metadata } from "next";
import { SessionPage } from "@/ui/sessions/session-page";
import { decodedSegment } from "@/ui/sessions/segment";

export const metadata: Metadata = { title: "Session" };

export default async function Page({ params }: { params: Promise<{ id: string }> }) {
  return <SessionPage sessionId={decodedSegment((await params).id)} />;
}
