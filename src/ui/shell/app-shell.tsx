"use client";

import { Menu as MenuIcon, Search } from "lucide-react";
import NextLink from "next/link";
import { usePathname } from "next/navigation";
import { NuqsAdapter } from "nuqs/adapters/next/app";
import { useCallback, useEffect, useRef, useState, type ReactNode } from "react";
import { Logo } from "@/ui/components/logo";
import { SkipLink } from "@/ui/components/site-frame";
import { IconButton } from "@/ui/kit/button";
import { Drawer } from "@/ui/kit/drawer";
import { Kbd } from "@/ui/kit/page";
import { OrgZoneProvider } from "@/ui/kit/time";
import { Toaster } from "@/ui/kit/toast";
import { TrpcProvider } from "@/ui/trpc";
import { CommandPalette } from "./command-palette";
import { FreezeBanner, FreezeButton, FreezeDialog } from "./freeze-control";
import { GetStartedCard } from "./get-started-card";
import { BottomNavigation, NavigationList } from "./navigation-list";
import { ShellProvider, type ShellData } from "./shell-context";
import { ShortcutHelp, ShortcutKeys } from "./shortcuts";
import { OrgSwitcher, UserMenu } from "./switchers";

/** Stands around every page of an organisation. */
export function AppShell({ shell, children }: { shell: ShellData; children: ReactNode }) {
  return (
    <TrpcProvider orgId={shell.org.id}>
      <NuqsAdapter>
        <OrgZoneProvider zone={shell.org.timezone}>
          <ShellProvider shell={shell}>
            <Frame>{children}</Frame>
            <Toaster />
          </ShellProvider>
        </OrgZoneProvider>
      </NuqsAdapter>
    </TrpcProvider>
  );
}

type Overlay = "palette" | "help" | "freeze" | "navigation";

function Frame({ children }: { children: ReactNode }) {
  const [overlay, setOverlay] = useState<Overlay>();
  const openPalette = useCallback(() => setOverlay((now) => (now === "palette" ? undefined : "palette")), []);
  const openHelp = useCallback(() => setOverlay("help"), []);
  const changeOf = (name: Overlay) => (open: boolean) => setOverlay((now) => (open ? name : now === name ? undefined : now));
  const content = useFocusOnNavigation();

  return (
    <div className="min-h-dvh lg:grid lg:grid-cols-[15rem_minmax(0,1fr)]">
      <SkipLink />
      <aside className="sticky top-0 hidden h-dvh flex-col gap-4 overflow-y-auto border-r border-line bg-canvas p-3 lg:flex print:hidden">
        <Brand />
        <OrgSwitcher />
        <NavigationList />
        <div className="mt-auto">
          <GetStartedCard />
        </div>
      </aside>
      <div className="flex min-w-0 flex-col">
        <header className="sticky top-0 z-20 flex h-14 items-center gap-2 border-b border-line bg-canvas px-3 sm:px-6 print:hidden">
          <IconButton label="Menu" size="small" className="lg:hidden" onClick={() => setOverlay("navigation")}>
            <MenuIcon aria-hidden className="size-5" />
          </IconButton>
          <button
            type="button"
            onClick={openPalette}
            className="flex h-8 min-w-0 cursor-pointer items-center gap-2 rounded-control border border-line bg-surface px-2.5 text-small text-ink-muted hover:border-line-strong sm:w-64"
          >
            <Search aria-hidden className="size-4 shrink-0" />
            <span className="truncate max-sm:sr-only">Go, do, find</span>
            <span aria-hidden className="ml-auto flex gap-1 max-sm:hidden">
              <Kbd>⌘</Kbd>
              <Kbd>K</Kbd>
            </span>
          </button>
          <div className="ml-auto flex items-center gap-2 sm:gap-3">
            <FreezeButton />
            <UserMenu onHelp={openHelp} />
          </div>
        </header>
        <FreezeBanner />
        <main
          id="content"
          ref={content}
          tabIndex={-1}
          className="mx-auto w-full max-w-[90rem] min-w-0 grow px-3 pt-5 pb-24 outline-none sm:px-6 sm:pt-6 lg:pb-10"
        >
          {children}
        </main>
      </div>
      <BottomNavigation />
      <Drawer side="left" title="Menu" open={overlay === "navigation"} onOpenChange={changeOf("navigation")}>
        <div className="flex flex-col gap-4">
          <OrgSwitcher />
          <NavigationList onNavigate={() => setOverlay(undefined)} />
          <GetStartedCard />
        </div>
      </Drawer>
      <ShortcutKeys onPalette={openPalette} onHelp={openHelp} />
      <ShortcutHelp open={overlay === "help"} onOpenChange={changeOf("help")} />
      <CommandPalette
        open={overlay === "palette"}
        onOpenChange={changeOf("palette")}
        onFreeze={() => setOverlay("freeze")}
        onHelp={openHelp}
      />
      <FreezeDialog open={overlay === "freeze"} onOpenChange={changeOf("freeze")} />
    </div>
  );
}

function Brand() {
  return (
    <NextLink href="/" className="flex h-8 w-fit items-center gap-2 rounded-control px-1 text-small font-semibold tracking-tight">
      <Logo className="size-5" />
      NullSpend
    </NextLink>
  );
}

/** After going to another page, Tab goes on from the new page's start, not from a link that is gone. */
function useFocusOnNavigation() {
  const pathname = usePathname();
  const content = useRef<HTMLElement>(null);
  const shown = useRef(pathname);
  useEffect(() => {
    if (shown.current === pathname) return;
    shown.current = pathname;
    content.current?.focus({ preventScroll: true });
  }, [pathname]);
  return content;
}
