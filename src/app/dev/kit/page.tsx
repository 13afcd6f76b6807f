import type { Metadata } from "next";
import { notFound } from "next/navigation";
import { KitPage } from "@/ui/kit/showcase/kit-page";

export const metadata: Metadata = { title: "Kit" };

/** Every part of the kit in every state, for who builds with it. */
export default function Page() {
  if (process.env.NODE_ENV !== "development") notFound();
  return <KitPage />;
}
