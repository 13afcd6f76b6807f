"use client";

import { Menu as BaseMenu } from "@base-ui/react/menu";
import { Popover as BasePopover } from "@base-ui/react/popover";
import { Tooltip as BaseTooltip } from "@base-ui/react/tooltip";
import NextLink from "next/link";
import { Fragment, type ReactElement, type ReactNode } from "react";
import { cn } from "./cn";
import { popupStyle } from "./popup";

export type MenuItem = {
  label: ReactNode;
  icon?: ReactNode;
  /** Either an action or an address. */
  onSelect?: () => void;
  href?: string;
  danger?: boolean;
  disabled?: boolean;
  /** A second line: why it is disabled, or what it does. */
  hint?: ReactNode;
};

export type MenuGroup = { label?: string; items: readonly MenuItem[] };

type MenuProps = {
  trigger: ReactElement;
  groups: readonly MenuGroup[];
  align?: "start" | "center" | "end";
  side?: "top" | "bottom" | "right";
};

const itemStyle =
  "flex min-h-8 cursor-default items-start gap-2.5 rounded-[0.25rem] px-2.5 py-1.5 text-small outline-none select-none data-disabled:text-ink-muted data-disabled:opacity-60 data-highlighted:bg-line any-pointer-coarse:min-h-10 any-pointer-coarse:py-2.5 [&_svg]:mt-0.75 [&_svg]:size-4 [&_svg]:shrink-0";

/** Actions on one thing, behind a button. */
export function Menu({ trigger, groups, align = "end", side = "bottom" }: MenuProps) {
  return (
    <BaseMenu.Root>
      <BaseMenu.Trigger render={trigger} />
      <BaseMenu.Portal>
        <BaseMenu.Positioner className="z-50 outline-none" sideOffset={4} align={align} side={side}>
          <BaseMenu.Popup className={cn(popupStyle, "max-h-(--available-height) max-w-(--available-width) min-w-44 overflow-y-auto p-1")}>
            {groups.map((group, at) => (
              // A menu's groups keep their places.
              // oxlint-disable-next-line react/no-array-index-key
              <Fragment key={at}>
                {at > 0 && <BaseMenu.Separator className="-mx-1 my-1 h-px bg-line" />}
                <BaseMenu.Group>
                  {group.label !== undefined && (
                    <BaseMenu.GroupLabel className="px-2.5 py-1.5 text-micro text-ink-muted">{group.label}</BaseMenu.GroupLabel>
                  )}
                  {group.items.map((item, itemAt) => (
                    // oxlint-disable-next-line react/no-array-index-key
                    <Item key={itemAt} item={item} />
                  ))}
                </BaseMenu.Group>
              </Fragment>
            ))}
          </BaseMenu.Popup>
        </BaseMenu.Positioner>
      </BaseMenu.Portal>
    </BaseMenu.Root>
  );
}

function Item({ item }: { item: MenuItem }) {
  const content = (
    <>
      {item.icon}
      <span className="min-w-0">
        {item.label}
        {item.hint !== undefined && <span className="block text-micro text-ink-muted">{item.hint}</span>}
      </span>
    </>
  );
  const className = cn(itemStyle, item.danger === true && "text-danger");
  if (item.href !== undefined) {
    return (
      <BaseMenu.Item className={className} disabled={item.disabled ?? false} render={<NextLink href={item.href} />}>
        {content}
      </BaseMenu.Item>
    );
  }
  return (
    <BaseMenu.Item className={className} disabled={item.disabled ?? false} onClick={() => item.onSelect?.()}>
      {content}
    </BaseMenu.Item>
  );
}

type PopoverProps = {
  trigger: ReactElement;
  title?: ReactNode;
  children: ReactNode;
  align?: "start" | "center" | "end";
  open?: boolean;
  onOpenChange?: (open: boolean) => void;
  className?: string;
};

/** A small panel beside a button: filters, details, a form of two fields. */
export function Popover({ trigger, title, children, align = "start", open, onOpenChange, className }: PopoverProps) {
  return (
    <BasePopover.Root
      {...(open === undefined ? {} : { open })}
      {...(onOpenChange === undefined ? {} : { onOpenChange: (next: boolean) => onOpenChange(next) })}
    >
      <BasePopover.Trigger render={trigger} />
      <BasePopover.Portal>
        <BasePopover.Positioner className="z-50" sideOffset={6} align={align} collisionPadding={8}>
          <BasePopover.Popup
            className={cn(
              popupStyle,
              "max-h-(--available-height) w-80 max-w-(--available-width) overflow-y-auto p-4 text-small",
              className,
            )}
          >
            {title !== undefined && <BasePopover.Title className="mb-2 font-medium">{title}</BasePopover.Title>}
            {children}
          </BasePopover.Popup>
        </BasePopover.Positioner>
      </BasePopover.Portal>
    </BasePopover.Root>
  );
}

type TooltipProps = {
  /** Few words that only add: on touch screens nobody sees them. */
  content: ReactNode;
  /** Something that can have the focus. */
  children: ReactElement;
  side?: "top" | "bottom" | "left" | "right";
};

export function Tooltip({ content, children, side = "top" }: TooltipProps) {
  return (
    <BaseTooltip.Root>
      <BaseTooltip.Trigger render={children} delay={300} />
      <BaseTooltip.Portal>
        <BaseTooltip.Positioner className="z-60" sideOffset={6} side={side} collisionPadding={8}>
          <BaseTooltip.Popup className="max-w-72 rounded-control bg-ink px-2.5 py-1.5 text-micro text-ink-inverse transition-opacity data-ending-style:opacity-0 data-instant:transition-none data-starting-style:opacity-0">
            {content}
          </BaseTooltip.Popup>
        </BaseTooltip.Positioner>
      </BaseTooltip.Portal>
    </BaseTooltip.Root>
  );
}
