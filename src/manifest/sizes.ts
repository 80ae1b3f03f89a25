/** How much is read of each document. A manifest is as long as its status says. */
/** Every process fetches it at every poll, so it is some 700 bytes; only in an emergency does it hold 256 denies, 170 bytes each. */
export const MAX_STATUS_BYTES = 64 * 1024
export const MAX_BLOB_BYTES = 1024 * 1024
export const MAX_ENVELOPE_BYTES = 64 * 1024 // 16 signatures and their headers beside the payload
