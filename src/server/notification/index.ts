export { enqueueMail, enqueueMails, type NewMail } from "./enqueue-mail";
export { createMailWorker, type MailWorker, type MailWorkerOptions, type OutgoingMail, type SendMail } from "./mail-worker";
export { deleteOldMail } from "./cleanup";
export { createSendMail } from "./send-mail";
export { renderMail, type MailTemplate, type MailTemplates } from "./templates";
