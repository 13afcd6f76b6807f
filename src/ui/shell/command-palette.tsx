"use client";

import { Dialog as BaseDialog } from "@base-ui/react/dialog";
import { Command } from "cmdk";
import { Building2, Hash, Keyboard, KeyRound, Moon, OctagonPause, Plus, Search, Sun, UserRound, Users } from "lucide-react";
import { useTheme } from "next-themes";
import { useRouter } from "next/navigation";
import { useState, type ReactNode } from "react";
import { cn } from "@/ui/kit/cn";
import { Kbd } from "@/ui/kit/page";
import { backdropStyle, popupStyle } from "@/ui/kit/popup";
import { navigationFor, pathOfId } from "./navigation";
import { useHasRole, useOrgPath, useShell } from "./shell-context";

type CommandPaletteProps = { open: boolean; onOpenChange: (open: boolean) => void; onFreeze: () => void; onHelp: () => void };

/** Goes to pages, does things, and finds what has an id. */
export function CommandPalette({ open, onOpenChange, onFreeze, onHelp }: CommandPaletteProps) {
  return (
    <BaseDialog.Root open={open} onOpenChange={(next) => onOpenChange(next)}>
      <BaseDialog.Portal>
        <BaseDialog.Backdrop className={backdropStyle} />
        <BaseDialog.Popup
          className={cn(popupStyle, "fixed inset-x-2 top-2 z-50 mx-auto max-w-xl overflow-hidden sm:top-[12vh]")}
          aria-label="Go, do, find"
        >
          <BaseDialog.Title className="sr-only">Go, do, find</BaseDialog.Title>
          <Commands onClose={() => onOpenChange(false)} onFreeze={onFreeze} onHelp={onHelp} />
        </BaseDialog.Popup>
      </BaseDialog.Portal>
    </BaseDialog.Root>
  );
}

function Commands({ onClose, onFreeze, onHelp }: { onClose: () => void; onFreeze: () => void; onHelp: () => void }) {
  const { org, organisations, freeze } = useShell();
  const router = useRouter();
  const path = useOrgPath();
  const admin = useHasRole("admin");
  const member = useHasRole("member");
  const { setTheme } = useTheme();
  const [text, setText] = useState("");
  const found = pathOfId(text);

  function go(href: string): void {
    onClose();
    router.push(href);
  }

  return (
    <Command label="Go, do, find" loop>
      <div className="flex items-center gap-2.5 border-b border-line px-4">
        <Search aria-hidden className="size-4 shrink-0 text-ink-muted" />
        <Command.Input
          value={text}
          onValueChange={setText}
          autoFocus
          placeholder="A page, an action, an id, a model…"
          className="h-12 w-full min-w-0 bg-transparent text-body outline-none placeholder:text-ink-muted"
        />
        <Kbd>Esc</Kbd>
      </div>
      <Command.List className="max-h-[min(60vh,26rem)] overflow-y-auto overscroll-contain p-1.5">
        <Command.Empty className="px-3 py-6 text-center text-small text-ink-muted">Nothing is called that here.</Command.Empty>
        {found !== undefined && (
          <Group heading="By id">
            <Item value={`id ${text}`} icon={<Hash aria-hidden />} onSelect={() => go(path(found.path))}>
              {found.what} <span className="font-mono text-micro break-all text-ink-muted">{text.trim()}</span>
            </Item>
          </Group>
        )}
        <Group heading="Go to">
          {navigationFor(org.role)
            .flatMap((group) => group.items)
            .map(({ path: page, label, icon: Icon, key, keywords }) => (
              <Item
                key={page}
                value={label}
                keywords={keywords.split(" ")}
                icon={<Icon aria-hidden />}
                onSelect={() => go(path(page))}
                keys={["G", key.toUpperCase()]}
              >
                {label}
              </Item>
            ))}
          <Item
            value="Account"
            keywords={["profile", "password", "sessions"]}
            icon={<UserRound aria-hidden />}
            onSelect={() => go("/account")}
          >
            Account
          </Item>
        </Group>
        <Group heading="Do">
          {member && (
            <Item
              value="New key"
              keywords={["create", "make", "api"]}
              icon={<KeyRound aria-hidden />}
              onSelect={() => go(path("keys?new=true"))}
            >
              New key
            </Item>
          )}
          {admin && (
            <>
              <Item
                value="New budget"
                keywords={["create", "make", "limit"]}
                icon={<Plus aria-hidden />}
                onSelect={() => go(path("budgets?new=true"))}
              >
                New budget
              </Item>
              <Item
                value="Invite people"
                keywords={["members", "team"]}
                icon={<Users aria-hidden />}
                onSelect={() => go(path("members?invite=true"))}
              >
                Invite people
              </Item>
              {freeze === null && (
                <Item
                  value="Stop all spend"
                  keywords={["freeze", "kill", "pause", "emergency"]}
                  icon={<OctagonPause aria-hidden />}
                  onSelect={() => {
                    onClose();
                    onFreeze();
                  }}
                >
                  Stop all spend…
                </Item>
              )}
            </>
          )}
          <Item
            value="Light theme"
            icon={<Sun aria-hidden />}
            onSelect={() => {
              setTheme("light");
              onClose();
            }}
          >
            Light theme
          </Item>
          <Item
            value="Dark theme"
            icon={<Moon aria-hidden />}
            onSelect={() => {
              setTheme("dark");
              onClose();
            }}
          >
            Dark theme
          </Item>
          <Item
            value="Keyboard shortcuts"
            keywords={["help", "keys"]}
            icon={<Keyboard aria-hidden />}
            onSelect={() => {
              onClose();
              onHelp();
            }}
            keys={["?"]}
          >
            Keyboard shortcuts
          </Item>
        </Group>
        {organisations.length > 1 && (
          <Group heading="Organisations">
            {organisations
              .filter(({ id }) => id !== org.id)
              .map(({ id, name, slug }) => (
                <Item
                  key={id}
                  value={`organisation ${name} ${slug}`}
                  icon={<Building2 aria-hidden />}
                  onSelect={() => go(`/o/${slug}/overview`)}
                >
                  Switch to {name}
                </Item>
              ))}
          </Group>
        )}
        {text.trim().length > 1 && (
          <Command.Group forceMount>
            <Item
              forceMount
              value={`calls of ${text}`}
              icon={<Search aria-hidden />}
              onSelect={() => go(path(`activity?model=${encodeURIComponent(text.trim())}`))}
            >
              Calls of the model “{text.trim()}”
            </Item>
            <Item
              forceMount
              value={`session ${text}`}
              icon={<Search aria-hidden />}
              onSelect={() => go(path(`activity?session=${encodeURIComponent(text.trim())}`))}
            >
              Calls of the session “{text.trim()}”
            </Item>
          </Command.Group>
        )}
      </Command.List>
    </Command>
  );
}

function Group({ heading, children }: { heading: string; children: ReactNode }) {
  return (
    <Command.Group
      heading={heading}
      className="[&_[cmdk-group-heading]]:px-2.5 [&_[cmdk-group-heading]]:py-1.5 [&_[cmdk-group-heading]]:text-micro [&_[cmdk-group-heading]]:text-ink-muted"
    >
      {children}
    </Command.Group>
  );
}

type ItemProps = {
  value: string;
  icon: ReactNode;
  onSelect: () => void;
  children: ReactNode;
  keywords?: string[];
  keys?: readonly string[];
  forceMount?: boolean;
};

function Item({ value, icon, onSelect, children, keywords, keys, forceMount = false }: ItemProps) {
  return (
    <Command.Item
      value={value}
      {...(keywords === undefined ? {} : { keywords })}
      forceMount={forceMount}
      onSelect={onSelect}
      className="flex min-h-9 cursor-pointer items-center gap-2.5 rounded-control px-2.5 py-1.5 text-small data-[selected=true]:bg-line [&_svg]:size-4 [&_svg]:shrink-0 [&_svg]:text-ink-muted"
    >
      {icon}
      <span className="min-w-0 break-words">{children}</span>
      {keys !== undefined && (
        <span className="ml-auto flex gap-1 max-sm:hidden">
          {keys.map((key) => (
            <Kbd key={key}>{key}</Kbd>
          ))}
        </span>
      )}
    </Command.Item>
  );
}
