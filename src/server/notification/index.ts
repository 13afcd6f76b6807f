export { enqueueMail, type NewMail } from "./enqueue-mail";
export { createMailWorker, type MailWorker, type OutgoingMail, type SendMail } from "./mail-worker";
export { createSendMail } from "./send-mail";
export { renderMail, type MailTemplate, type MailTemplates } from "./templates";
