/** Why a data folder cannot be used, as an operator should read it. */

import { isDiskFull } from './disk.ts'

const reasons: Readonly<Record<string, string>> = {
  EEXIST: 'is not a folder: set DATA_DIR to a folder, or move the file away',
  ENOTDIR: 'is not a folder: set DATA_DIR to a folder, or move the file away',
  EROFS: 'is on a read-only disk: mount it for writing, or set DATA_DIR to another folder',
  EACCES: 'may not be written by this user: change its owner, or set DATA_DIR to another folder',
  EPERM: 'may not be written by this user: change its owner, or set DATA_DIR to another folder',
}

/**
 * The error to end with, for one that opening the folder threw: the system's own in words, any other as it is.
 *
 * @param folder what `DATA_DIR` says
 */
export function whyUnusable(folder: string, error: unknown): unknown {
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown }
  const reason = isDiskFull(error)
    ? 'is on a full disk, and a start writes some files anew: free as much as SEGMENT_BYTES, then start again'
    : typeof code === 'string' && Object.hasOwn(reasons, code)
      ? reasons[code]
      : undefined
  return reason === undefined ? error : new Error(`${folder} ${reason} (${String(message)})`, { cause: error })
}
