/** Names and values, side by side. */
import type { ComponentChildren } from 'preact'

export type Fact = readonly [name: string, value: ComponentChildren] | undefined | false

export function Facts({ of }: { of: readonly Fact[] }) {
  return (
    <dl class="facts">
      {of.map(fact =>
        fact ? (
          <div key={fact[0]}>
            <dt>{fact[0]}</dt>
            <dd>{fact[1]}</dd>
          </div>
        ) : undefined,
      )}
    </dl>
  )
}
