/** How OpenStack reads booleans in texts (oslo.utils strutils.bool_from_string). */

const TRUE = ['1', 't', 'true', 'on', 'y', 'yes']
const FALSE = ['0', 'f', 'false', 'off', 'n', 'no']

/** Undefined for what is neither. */
export function strictBoolean(value: unknown): boolean | undefined {
  const text = String(value).trim().toLowerCase()
  return TRUE.includes(text) ? true : FALSE.includes(text) ? false : undefined
}

/** Whatever is not true is false. */
export const looseBoolean = (value: unknown): boolean => strictBoolean(value) === true
