export { listAuditLog, ListAuditLogInput, type AuditRecord } from "./list";
export { recordChange, type Change } from "./record-change";
