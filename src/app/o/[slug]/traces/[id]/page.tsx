import type { Metadata } from "next";
import { TracePage } from "@/ui/traces/trace-page";

export const metadata: Metadata = { title: "Trace" };

export default async function Page({ params }: { params: Promise<{ id: string }> }) {
  return <TracePage traceId={(await params).id} />;
}
