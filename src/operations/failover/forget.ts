import type { OperationContext } from '../context.ts'

export const keyOf = (platform: string, vm: string): string => `${platform}/${vm}`

/** A machine has left a platform, or all have: what was kept of them must not come to life again. */
export function forgetProtections({ protections }: OperationContext, platform: string, vm?: string): void {
  for (const [key, entry] of protections.entries())
    if (entry.platform === platform && (vm === undefined || entry.protection.vm === vm))
      protections.delete(key)
}
