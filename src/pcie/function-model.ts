/**
 * The device behind a physical function: what its registers do. One is made when something first reaches the function
 * (an access to a BAR, a frame from the network), so that idle functions cost nothing. It serves the virtual functions of
 * its physical function too, as one chip does.
 */
import type { PageNumber, Saved } from '../core/index.ts'
import type { ResetKind } from './attribute-table.ts'

export interface FunctionModel {
  /** Virtual functions came up or went away: registers go behind the BARs of new ones. */
  virtualFunctionsChanged?(): void
  /** The physical function was reset; its virtual functions are gone by then. */
  reset(kind: ResetKind): void
  /** A virtual function was reset. @param index counted from 0. */
  virtualFunctionReset?(index: number): void
  /** Its function has written to a page because stimulus had it do so: for a model that keeps account of what is written. */
  wrote?(page: PageNumber): void
  /** Time that the model asked for is over. @param argument as it was asked for. */
  timeIsUp?(argument: number): void
  save(): Saved
  /** Restores what {@link save} returned; the virtual functions are there already. */
  load(saved: Saved): void
}

export type ModelMaker = () => FunctionModel

/** Keeps the model of a physical function, or how to make it. */
export class ModelHolder {
  readonly #make: ModelMaker
  #model: FunctionModel | undefined

  constructor(make: ModelMaker) {
    this.#make = make
  }

  /** The model as far as it has been needed. */
  get made(): FunctionModel | undefined {
    return this.#model
  }

  get needed(): FunctionModel {
    if (this.#model === undefined) {
      this.#model = this.#make()
      this.#model.virtualFunctionsChanged?.()
    }
    return this.#model
  }

  save(): Saved {
    return this.#model?.save() ?? null
  }

  /** Makes the model anew; one that was not needed when the state was saved is forgotten. */
  load(saved: Saved): void {
    this.#model = undefined
    if (saved !== null) this.needed.load(saved)
  }
}
