/** Names of fault reasons, for views. */
import { faultReason } from '../vtd/formats/index.ts'

export const faultReasonName = (code: number): string => faultReason(code)?.name ?? 'reserved reason code'
