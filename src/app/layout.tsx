import { GeistMono } from "geist/font/mono";
import { GeistSans } from "geist/font/sans";
import type { Metadata, Viewport } from "next";
import { headers } from "next/headers";
import type { ReactNode } from "react";
import { ThemeProvider } from "@/ui/theme/theme-provider";
import "./globals.css";

// Pages belong to one instance and one visitor: none is made at build time, when there is no runtime to ask.
export const dynamic = "force-dynamic";

export const metadata: Metadata = {
  title: { default: "NullSpend", template: "%s · NullSpend" },
  description: "A gateway for AI agents that records what each model call costs.",
  // An instance is somebody's own, not a public site.
  robots: { index: false, follow: false },
};

export const viewport: Viewport = {
  themeColor: [
    { media: "(prefers-color-scheme: light)", color: "#fafaf8" },
    { media: "(prefers-color-scheme: dark)", color: "#0e0e0d" },
  ],
};

export default async function RootLayout({ children }: { children: ReactNode }) {
  const nonce = (await headers()).get("x-nonce") ?? undefined;
  return (
    // The theme's script sets an attribute before React takes over.
    <html lang="en" className={`${GeistSans.variable} ${GeistMono.variable}`} suppressHydrationWarning>
      <body className="min-h-dvh bg-canvas font-sans text-body text-ink antialiased">
        <ThemeProvider {...(nonce === undefined ? {} : { nonce })}>{children}</ThemeProvider>
      </body>
    </html>
  );
}
