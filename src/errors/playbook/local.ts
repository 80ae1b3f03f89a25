import type { AdviceFor } from './page.ts'

export const CONFIG_ADVICE: AdviceFor<'CONFIG'> = {
  ERR_CONFIG_INVALID: [
    'configuration',
    'A mistake; a security option that is misspelt stops the start rather than being skipped.',
    'ERR_CONFIG_FILE',
  ],
  ERR_CONFIG_URL: [
    'configuration',
    'A mistake. Credentials in a URL end up in logs: if there were some, replace them.',
    'ERR_POLICY_PLAINTEXT',
    'ERR_AUTH_CREDENTIAL_IN_URL',
  ],
  ERR_CONFIG_PIN: [
    'configuration',
    'A mistake in copying. A pin that somebody sent you is checked with the owner over another way before it is typed in again.',
    'ERR_TRUST_PIN_MISMATCH',
  ],
  ERR_CONFIG_HOST: [
    'configuration',
    'A mistake: a scheme, a path or a wildcard in the wrong place, or one over a public suffix.',
    'ERR_CONFIG_URL',
  ],
  ERR_CONFIG_HOST_CLAIMED_TWICE: [
    'configuration',
    'A mistake in dividing hosts; a second manifest that claims a host it never had deserves a question to its owner.',
    'ERR_MANIFEST_DUPLICATE_HOST',
  ],
  ERR_CONFIG_FILE: [
    'configuration',
    'A mistake in the file or in its mount. If nobody changed it, find out who can write there.',
    'ERR_CONFIG_INVALID',
    'ERR_STORE_READ',
  ],
  ERR_CONFIG_REASON: [
    'configuration',
    'A mistake, or somebody who loosens something and does not want to say why: look at the change.',
    'ERR_CONFIG_INVALID',
  ],
  ERR_CONFIG_CERTIFICATE: [
    'clientCertificate',
    'A wrong file, or key and certificate of different renewals.',
    'ERR_CONFIG_CERTIFICATE_MISMATCH',
    'ERR_CONFIG_PASSPHRASE',
  ],
  ERR_CONFIG_CERTIFICATE_MISMATCH: [
    'clientCertificate',
    'A renewal that wrote one of two files, mostly. A certificate for a key that is not yours was requested by somebody else: ask the CA.',
    'ERR_CONFIG_CERTIFICATE',
  ],
  ERR_CONFIG_CERTIFICATE_EXPIRED: [
    'clientCertificate',
    'A renewal that failed, or a clock that is ahead.',
    'ERR_CONFIG_CERTIFICATE_NOT_YET_VALID',
    'ERR_TLS_CLIENT_CERTIFICATE_REJECTED',
  ],
  ERR_CONFIG_CERTIFICATE_NOT_YET_VALID: [
    'clientCertificate',
    'A clock that is behind, or a certificate issued for later.',
    'ERR_CONFIG_CERTIFICATE_EXPIRED',
  ],
  ERR_CONFIG_CERTIFICATE_USAGE: [
    'clientCertificate',
    'A server certificate or that of a CA in the wrong place. A CA key on this machine is a finding of its own.',
    'ERR_TRUST_EXTENDED_KEY_USAGE',
  ],
  ERR_CONFIG_CERTIFICATE_CHAIN: [
    'clientCertificate',
    'Certificates concatenated in the wrong order, or of two hierarchies.',
    'ERR_CONFIG_CERTIFICATE',
  ],
  ERR_CONFIG_CERTIFICATE_WEAK: [
    'clientCertificate',
    'An old key, made before the rules of today.',
    'ERR_TRUST_WEAK_KEY',
  ],
  ERR_CONFIG_LOG_LIST: [
    'logList',
    'An error page that was saved as the list, mostly.',
    'ERR_CONFIG_LOG_LIST_SIGNATURE',
  ],
  ERR_CONFIG_LOG_LIST_SIGNATURE: [
    'logList',
    'List and signature of two moments, or a list that somebody changed: a log of theirs in it would vouch for any certificate. Another network tells.',
    'ERR_CONFIG_LOG_LIST',
    'ERR_CONFIG_LOG_LIST_ROLLBACK',
  ],
  ERR_CONFIG_LOG_LIST_STALE: [
    'logList',
    'A download of long ago or a cache; a list that is held back keeps distrusted logs alive.',
    'ERR_TRUST_CT_LOG_LIST_STALE',
    'ERR_CONFIG_LOG_LIST_ROLLBACK',
  ],
  ERR_CONFIG_LOG_LIST_ROLLBACK: [
    'logList',
    'An old file in the job’s directory, or a cache that serves one.',
    'ERR_CONFIG_LOG_LIST_STALE',
  ],
  ERR_CONFIG_USAGE: ['configuration', 'A mistake on the command line.', 'ERR_CONFIG_INVALID'],
  ERR_CONFIG_PASSPHRASE: [
    'configuration',
    'A passphrase that was rotated or not passed on. Many attempts that nobody made: somebody has the file and guesses.',
    'ERR_CONFIG_CERTIFICATE',
    'ERR_KEY_SOURCE_MISSING',
  ],
  ERR_CONFIG_SIGNER: [
    'configuration',
    'A command that changed, an HSM that is locked, or another key than the one it stands for: whose key signed, if the signature is well formed?',
    'ERR_SIGN_SIGNER_UNAVAILABLE',
  ],
}

export const STORE_ADVICE: AdviceFor<'STORE'> = {
  ERR_STORE_READ: [
    'disk',
    'Owner, mode or a volume that is gone; after a deployment as another user most of all.',
    'ERR_STORE_WRITE',
  ],
  ERR_STORE_WRITE: [
    'disk',
    'A full or read-only disk. Somebody who fills it silences what is written there: look at what grew.',
    'ERR_STORE_READ',
    'ERR_MANIFEST_CACHE_REQUIRED',
  ],
  ERR_STORE_EXISTS: [
    'disk',
    'A second run of a command that makes keys or documents; nothing was overwritten.',
    'ERR_STORE_WRITE',
  ],
  ERR_STORE_NAME: [
    'disk',
    'A tenant or a name from input with `..` or a slash in it is an attempt to write elsewhere; else a mistake of the caller.',
    'ERR_STORE_SYMLINK',
  ],
  ERR_STORE_EXPOSED: [
    'disk',
    'A mode that a deployment set, mostly. What others could read there, tokens among it, is to be taken for known.',
    'ERR_STORE_SYMLINK',
    'ERR_KEY_SOURCE_INVALID',
  ],
  ERR_STORE_SYMLINK: [
    'disk',
    'Treat it as an attempt to have this process read or write elsewhere, unless an administrator says that they linked it.',
    'ERR_STORE_EXPOSED',
  ],
  ERR_STORE_CONFLICT: [
    'tokenStore',
    'Processes that hang while they hold the lease, or clocks that disagree.',
    'ERR_STORE_UNAVAILABLE',
  ],
  ERR_STORE_WRITE_FAILED: [
    'tokenStore',
    'A store that is down at the worst moment: the new refresh token is in memory alone.',
    'ERR_STORE_UNAVAILABLE',
    'ERR_AUTH_REAUTH_REQUIRED',
  ],
  ERR_STORE_RECORD_INVALID: [
    'tokenStore',
    'Another program under the same prefix, or somebody who edits records.',
    'ERR_STORE_CONTEXT_MISMATCH',
    'ERR_STORE_RECORD_NEWER',
  ],
  ERR_STORE_RECORD_NEWER: [
    'tokenStore',
    'A roll-out half done, or one that was rolled back.',
    'ERR_STORE_RECORD_INVALID',
  ],
  ERR_STORE_UNAVAILABLE: [
    'tokenStore',
    'An outage of the store or of the way to it.',
    'ERR_STORE_WRITE_FAILED',
    'ERR_STORE_CONFLICT',
  ],
  ERR_STORE_DECRYPT_FAILED: [
    'tokenStore',
    'A key that was taken out of the ring too early, or a record that somebody changed: every record of one key fails in the first case, one alone in the second.',
    'ERR_STORE_CONTEXT_MISMATCH',
  ],
  ERR_STORE_CONTEXT_MISMATCH: [
    'tokenStore',
    'Treat it as an attack: the token of one tenant was put in the place of another’s. A migration script that renamed records is the one harmless cause.',
    'ERR_STORE_DECRYPT_FAILED',
    'ERR_AUTH_TENANT_UNKNOWN',
  ],
}

export const KEY_ADVICE: AdviceFor<'KEY'> = {
  ERR_KEY_SOURCE_MISSING: [
    'secret',
    'A deployment that forgot the variable or the mount; a secret that was removed by hand deserves the question by whom.',
    'ERR_KEY_SOURCE_INVALID',
    'ERR_CONFIG_FILE',
  ],
  ERR_KEY_SOURCE_INVALID: [
    'secret',
    'A placeholder that was never replaced, or a file that everybody may read: then it is no secret any more.',
    'ERR_KEY_SOURCE_MISSING',
    'ERR_STORE_EXPOSED',
  ],
  ERR_KEY_SOURCE_UNAVAILABLE: [
    'secret',
    'A vault that is down or sealed, or a permission that was taken away: its audit log says which.',
    'ERR_SIGN_SIGNER_UNAVAILABLE',
    'ERR_KEY_SOURCE_MISSING',
  ],
}
