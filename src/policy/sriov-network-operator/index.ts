export { applyPolicy, type NodeInterface, type VfGroup, type WantedInterface, wantedState } from './merge.ts'
export { type NodePolicy, parseNodePolicy } from './node-policy.ts'
export { interfacesOf, networkOperatorPolicy } from './policy.ts'
export {
  refuseBeside,
  refuseForNode,
  refuseResourceName,
  refuseStatically,
  type WebhookOptions,
  type WebhookRefusal,
} from './webhook.ts'
