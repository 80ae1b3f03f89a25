/** How much is read of each document. A manifest is as long as its status says. */
export const MAX_STATUS_BYTES = 16 * 1024 // every process fetches it at every poll
export const MAX_BLOB_BYTES = 1024 * 1024
export const MAX_ENVELOPE_BYTES = 64 * 1024 // 16 signatures and their headers beside the payload
