/** Whether the text is a domain name as certificates and hosts write it: RFC 1123 labels and `_`, which deployed names carry. */
export const isDnsName = (text: string): boolean => text.length <= 253 && DNS_NAME.test(text)

const DNS_NAME = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/i
