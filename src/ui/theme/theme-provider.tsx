"use client";

import { ThemeProvider as NextThemesProvider } from "next-themes";
import type { ReactNode } from "react";

/** @param nonce of the Content-Security-Policy: the theme is set by an inline script before the first paint. */
export function ThemeProvider({ children, nonce }: { children: ReactNode; nonce?: string }) {
  return (
    <NextThemesProvider attribute="data-theme" defaultTheme="system" enableSystem {...(nonce === undefined ? {} : { nonce })}>
      {children}
    </NextThemesProvider>
  );
}
