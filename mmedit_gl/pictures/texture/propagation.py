"""Which label each node of a graph takes."""

import torch
from torch import Tensor

CACHED = 2**18  # numbers that are worked on together


def propagate(costs: Tensor, edges: list[tuple[Tensor, Tensor, Tensor]], rounds: int) -> Tensor:
    """What each label costs at each node with all that follows, by min-sum belief propagation.

    `costs` are `(n, k)`, those of each label at each node, and so is the result (Pearl 1982), whose
    least are labels of little total cost. An edge set is `(a, b, pairs)`: nodes `a` and `b`, int
    `(m,)`, each at most once in either, and what their labels cost together, `(m, k, k)`. All
    messages of a round are sent at once, and damped.
    """
    forward = [torch.zeros_like(pairs[:, 0]) for _, _, pairs in edges]
    backward = [torch.zeros_like(pairs[:, 0]) for _, _, pairs in edges]

    def beliefs() -> Tensor:
        total = costs.clone()
        for (a, b, _), there, back in zip(edges, forward, backward):
            total[b] += there
            total[a] += back
        return total

    for _ in range(rounds):
        total = beliefs()
        for (a, b, pairs), there, back in zip(edges, forward, backward):
            to_b, to_a = torch.empty_like(there), torch.empty_like(back)
            for some in torch.arange(len(a)).split(max(1, CACHED // costs.shape[1] ** 2)):
                from_a, from_b = total[a[some]] - back[some], total[b[some]] - there[some]
                to_b[some] = (pairs[some] + from_a[:, :, None]).amin(1)
                to_a[some] = (pairs[some] + from_b[:, None]).amin(2)
            there.lerp_(to_b - to_b.amin(1, keepdim=True), 0.5)
            back.lerp_(to_a - to_a.amin(1, keepdim=True), 0.5)
    return beliefs()
