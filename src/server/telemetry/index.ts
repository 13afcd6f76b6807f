export { type TraceExporter, type TraceExporterOptions, type TraceStats, createTraceExporter } from "./trace-exporter";
