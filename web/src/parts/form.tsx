/** A few fields and a button; what was typed goes to `act` by name. */
import type { ComponentChildren } from 'preact'

export type Values = Readonly<Record<string, string>>

export function Form({
  label,
  action,
  act,
  children,
}: {
  readonly label: string
  readonly action: string
  readonly act: (values: Values) => unknown
  readonly children?: ComponentChildren
}) {
  return (
    <form
      class="form"
      aria-label={label}
      onSubmit={event => {
        event.preventDefault()
        act(
          Object.fromEntries(
            [...new FormData(event.currentTarget)].map(([name, value]) => [name, String(value)]),
          ),
        )
      }}
    >
      {children}
      <button type="submit">{action}</button>
    </form>
  )
}

export function Field({
  name,
  label,
  value,
  type = 'text',
  optional = false,
  ...limits
}: {
  readonly name: string
  readonly label: string
  readonly value: string | number
  readonly type?: 'text' | 'number'
  readonly min?: number
  readonly max?: number
  readonly pattern?: string
  readonly optional?: boolean
}) {
  return (
    <label class="field">
      <span>{label}</span>
      <input
        {...({ name, type, ...limits } as object)}
        defaultValue={String(value)}
        required={!optional}
        autocomplete="off"
      />
    </label>
  )
}

export function Choice({
  name,
  label,
  of,
  value,
  say = each => each,
}: {
  readonly name: string
  readonly label: string
  readonly of: readonly string[]
  readonly value?: string | undefined
  readonly say?: (each: string) => string
}) {
  return (
    <label class="field">
      <span>{label}</span>
      <select name={name}>
        {of.map(each => (
          <option key={each} value={each} selected={each === value}>
            {say(each)}
          </option>
        ))}
      </select>
    </label>
  )
}
