/** The driver of the synthetic e-switch: igb, and the mode in which the host switches for its virtual functions. */
import { ESWMODE } from '../../../devices/formats/nic/synthetic-eswitch-registers.ts'
import { IgbPort } from '../igb/port.ts'

export class SyntheticEswitchPort extends IgbPort {
  override readonly driver = 'synthetic_eswitch'

  setSwitchdev(on: boolean): void {
    this.registers.write(ESWMODE, on ? ESWMODE.bits.SWITCHDEV : 0)
  }
}
