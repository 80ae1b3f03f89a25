/** What watches a client, and carries what is seen to where people look. */
export { createEventSink, type EventSink } from '../events/sink.ts'
