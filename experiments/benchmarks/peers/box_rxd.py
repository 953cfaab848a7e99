"""The box by NEURON's `rxd.Extracellular`: implicit alternating directions at 1 ms, in double precision, no cell."""

import box_specification as box
import numpy as np
import specification as spec


def prepare(given):
    """What runs the box from its start, with its first step done."""
    from neuron import h, rxd

    rxd.nthread(given.threads)
    h.load_file("stdrun.hoc")
    section = h.Section(name="idle")  # without a section nothing advances
    section.L = section.diam = 1
    space = rxd.Extracellular(0, 0, 0, given.n, given.n, given.n, dx=1, volume_fraction=1, tortuosity=1)
    species = rxd.Species(space, name="messenger", d=box.DIFFUSION, charge=0, initial=0)
    loss = rxd.Rate(species, -box.LOSS * species)
    h.dt = 1.0
    h.CVode().active(0)
    h.finitialize(-65)
    states, begin = species[space].states3d, box.truth(given.n, 0.0)
    h.fadvance()

    def start():
        states[:] = begin

    def step():
        for _ in range(round(box.READ_MS)):
            h.fadvance()
        return np.asarray(states)

    # what is not referred to, NEURON deletes
    return lambda kept=(section, space, species, loss): box.timed(given, start, step)


if __name__ == "__main__":
    given = box.arguments(__doc__)
    import neuron

    spec.serve("rxd", f"neuron {neuron.__version__}", given, lambda: prepare(given))
