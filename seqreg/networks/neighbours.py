"""A function of how alike a sequence is to training sequences, position by position: a kernel machine on R of them.

The kernel is the Gaussian one of encoded letters, `k(x, x') = exp(-|x E - x' E|^2 / s)`, and logits are
`sum_r w_r k(x, r) + b` over references r: kernel ridge (or logistic) regression, on landmarks where there are more
training sequences than references (the method of Nyström; Williams and Seeger, NIPS 2000). For proteins E is the root
of BLOSUM62, so that what is learned of one amino acid at a position is learned of those like it, and near zero changes
effects add up. A sequence has as many positions as the part is long: later letters do not count.

As every function of the space of its kernel it obeys `|f(x) - f(x')| <= |f| |k(x, .) - k(x', .)|`, where the norm of f,
`sqrt(w^T K w)`, is known exactly, and the distance is `sqrt(2 - 2 exp(-|x E - x' E|^2 / s))`: what is proved of it.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from seqreg.alphabet import Alphabet
from seqreg.networks.alignments import draw_references
from seqreg.networks.encodings import Blosum62, OneHot
from seqreg.networks.part import Part, Profile
from seqreg.sequences import SequenceSet

# The kernel falls to exp(-WIDTH) at the median squared distance between training sequences: so wide that effects nearly
# add up, which bounds gain from. Alone the part had a mean Spearman correlation of .596 on three sets of mutants (100
# and 300 sequences, draws 10 to 12), .600 with 1, .566 where effects add up (ridge), .515 without BLOSUM62.
WIDTH = 0.3
RIDGE = 1e-6  # of the largest eigenvalue of the kernel: equal sequences make it singular


class NeighbourNet(Part, proved=True):
    """Logits (N, K) that are linear in likenesses (N, R) to `references`, (R, length) ids, of which training draws R.

    Those that are all padding are not used. spread: s, the unit of squared distances, taken from the training part. All
    is computed in float64, whatever the network is in: weights of likenesses that are nearly 1 are large.
    """

    references: Tensor
    letters: Tensor
    spread: Tensor
    head_only = dense = True
    window_by_window = False
    receptive_field, activation_name = 1, "exponential"

    def __init__(self, alphabet: Alphabet, references: int, *, outputs: int, length: int) -> None:
        super().__init__(alphabet)
        encoding = Blosum62() if alphabet.name == "protein" else OneHot()
        letters = torch.as_tensor(encoding.matrix(alphabet), dtype=torch.float32)
        self.register_buffer("letters", letters, persistent=False)
        self.register_buffer("references", torch.full((references, length), alphabet.pad, dtype=torch.uint8))
        self.register_buffer("spread", torch.ones(()))
        self.output = nn.Linear(references, outputs)
        self._last_effects: tuple[Tensor, Tensor, Tensor] | None = None

    # ---- what it computes

    def features(self, ids: Tensor) -> Tensor:
        """Likenesses (N, R) in (0, 1] of ids (N, L)."""
        return self.dense_features(self.one_hot(ids), None)

    def features_at(self, x: Tensor, ids: Tensor) -> Tensor:
        """Likenesses (N, R) at x (N, A, L), which holds the one-hot of ids (N, L): differentiable in x."""
        return self.dense_features(x, None)

    def dense_features(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Likenesses (N, R) at any x (N, A, L); padding is zero, and counts as that."""
        return self.activate(self._exponents(x)).to(self.output.weight.dtype)

    def activate(self, scores: Tensor) -> Tensor:
        """Likenesses of exponents, which are at most 0."""
        return torch.exp(scores.clamp(max=0))

    def last_scores(self, ids: Tensor) -> Tensor:
        """(N, 1, R) exponents, of sequences as a whole."""
        return self._exponents(self.one_hot(ids))[:, None].to(self.output.weight.dtype)

    def pool(self, h: Tensor, counts: Tensor | None) -> Tensor:
        """Features (N, R) from likenesses h (N, R, 1), which are pooled already."""
        return h[:, :, 0]

    def _exponents(self, x: Tensor) -> Tensor:
        """(N, R) `-|x E - r E|^2 / s`, float64."""
        at, known = self._encoded(x), self._encoded(self.one_hot(self.references))
        squares = (at * at).sum(1)[:, None] + (known * known).sum(1) - 2 * at @ known.t()
        return -F.relu(squares) / self.spread.double()

    def _encoded(self, x: Tensor) -> Tensor:
        """(N, length D) letters of x (N, A, L), each as E has it."""
        x = F.pad(x, (0, self.references.shape[1] - x.shape[2])).double()
        return torch.einsum("nal,ad->nld", x, self.letters.double()).flatten(1)

    # ---- training

    @torch.no_grad()
    def prepare(self, train: SequenceSet, seed: int) -> None:
        """Take training sequences as references, all or as many of each class as there are, and the spread of them."""
        rows = draw_references(train, len(self.references), seed)
        self.references.fill_(self.alphabet.pad)
        ids = torch.from_numpy(train.padded(rows))[:, : self.references.shape[1]]
        self.references[: len(rows), : ids.shape[1]] = ids.to(self.references.device)
        self.spread.fill_(1.0)
        apart = -self._exponents(self.one_hot(self.references[: len(rows)]))[:, : len(rows)]
        apart = apart[apart > 1e-9]
        self.spread.fill_(float(apart.median()) / WIDTH if len(apart) else 1.0)

    @torch.no_grad()
    def coordinates(self) -> NDArray[np.float64] | None:
        """(R, D) matrix B such that likenesses @ B are coordinates in the space of the kernel, D references being used.

        Of the kernel of the references K = V diag(l) V^T, B is V diag(l)^-1/2.
        """
        used = (self.lengths(self.references) > 0).cpu().numpy()
        kernel = self._kernel().cpu().numpy()[np.ix_(used, used)]
        values, vectors = np.linalg.eigh(kernel)
        basis = np.zeros((len(used), int(used.sum())))
        basis[used] = vectors / np.sqrt(np.maximum(values, 0) + RIDGE * values[-1])
        return basis

    def _kernel(self) -> Tensor:
        """(R, R) likenesses of the references to each other, float64."""
        return torch.exp(self._exponents(self.one_hot(self.references)))

    # ---- edits

    def substitution_changes(self, ids: Tensor) -> list[Tensor] | None:
        """For each sequence of ids (N, L), (l, A, K) float64: what replacing position i by letter a adds to each logit.

        Exact: a likeness is multiplied by exp of what the squared distance loses at the position, over s.
        """
        seen = min(ids.shape[1], self.references.shape[1])
        changes = F.pad(self._changes(ids[:, :seen]), (0, 0, 0, 0, 0, ids.shape[1] - seen))
        return [change[:length] for change, length in zip(changes, self.lengths(ids).tolist(), strict=True)]

    def _changes(self, ids: Tensor) -> Tensor:
        """(N, L, A, K) the same, of ids (N, L) no longer than the references."""
        weight, letters = self.output.weight.double().t(), self.alphabet.size  # R, K
        apart = self._apart() / self.spread.double()  # V, V
        known = self.references[:, : ids.shape[1]].long()  # R, L
        new = apart[:letters, known]  # A, R, L
        changes = weight.new_zeros(*ids.shape, letters, weight.shape[1])
        likeness = torch.exp(self._exponents(self.one_hot(ids)))
        for change, row, now in zip(changes, ids.long(), likeness, strict=True):
            ratio = torch.expm1(apart[row, known] - new)  # A, R, L
            change += torch.einsum("arl,rk->lak", ratio, weight * now[:, None])
        return changes

    # ---- what is proved

    def first_profile(self, old: Tensor, new: Tensor, opposite: bool = False) -> Profile:
        """Profiles of exponents, over the one offset there is: the least and the most over symbols of a reference."""
        apart = self._apart() / self.spread.double()
        change = (apart[old] - apart[new]).to(self.output.weight.dtype)  # B, V
        shape = (len(old), len(self.references), 1)
        drop, up = F.relu(-change.amin(1)), F.relu(change.amax(1))
        return Profile(drop[:, None, None].expand(shape), up[:, None, None].expand(shape))

    def symbol_costs(self, directions: Tensor, old: Tensor, new: Tensor) -> Tensor | None:
        """(B, Q) the largest of `effects` over positions."""
        return self.effects(directions)[:, :, old, new].amax(1).t().to(directions.dtype)

    def site_costs(self, directions: Tensor, ids: Tensor, others: int | None) -> Tensor | None:
        """(N, Q, L, A) the largest effect, or what it is here and as much as others can change it.

        With h the effect of letter b at position i, z the sequence with m other letters replaced: `h(z) <= h(x) + |h|
        sqrt(2 - 2 exp(-d^2 / s))`, d^2 the sum of the m largest squared distances of a letter to another.
        """
        seen = min(ids.shape[1], self.references.shape[1])
        place = torch.arange(seen, device=ids.device)
        most = self.effects(directions)[:, place, ids[:, :seen].long()].transpose(0, 1)  # N, Q, seen, A
        if others is not None:
            loss = -torch.einsum("nlak,qk->nqla", self._changes(ids[:, :seen]), directions.double())
            far = self._apart()[ids.long(), : self.alphabet.size].amax(2).topk(min(others, ids.shape[1]), 1).values
            away = torch.sqrt(-2 * torch.expm1(-far.sum(1) / self.spread.double()))
            most = torch.minimum(most, F.relu(loss + most * away[:, None, None, None]))
        return F.pad(most, (0, 0, 0, ids.shape[1] - seen)).to(directions.dtype)

    def effects(self, directions: Tensor) -> Tensor:
        """(Q, length, V, A) most that replacing symbol v at position i by letter b moves margins u . f, u (Q, K).

        As a function of all other letters the effect is `h(z) = sum_r w_r (k_i(b, r) - k_i(v, r)) k_-i(z, r)`, of which
        `|h(z)| <= |h|`: its norm in the space of the kernel k_-i of the other positions, k = k_i k_-i.
        """
        weight = directions.double() @ self.output.weight.double()  # Q, R
        weight = torch.where(directions[:, :1] < 0, -weight, weight)  # what falls as far as it rose
        known = None if weight.requires_grad else self._last_effects
        if known is not None and torch.equal(known[0], weight) and torch.equal(known[1], self.references):
            return known[2]
        kernel, alike = self._kernel(), torch.exp(-self._apart() / self.spread.double())  # V, V
        change = alike[: self.alphabet.size] - alike[:, None]  # V, A, V: of the letter of a reference
        _, which = torch.unique(weight.detach(), dim=0, return_inverse=True)
        rows = [weight[which == number][0] for number in range(int(which.max()) + 1)]
        table = torch.stack([self._norms_of(change, kernel * row * row[:, None], alike) for row in rows])[which]
        if not table.requires_grad:
            self._last_effects = (weight, self.references.clone(), table)
        return table

    def _norms_of(self, change: Tensor, products: Tensor, alike: Tensor) -> Tensor:
        """(length, V, A) norms of h, from `w_r w_r' k(r, r')` (R, R)."""
        symbols, norms = len(alike), []
        for letters in self.references.long().t():
            pair = letters[:, None] * symbols + letters
            by_letter = products.new_zeros(symbols * symbols)
            by_letter.index_add_(0, pair.flatten(), (products / alike[letters][:, letters]).flatten())
            squares = ((change @ by_letter.unflatten(0, (symbols, symbols))) * change).sum(2)
            norms.append(squares.clamp(min=1e-30).sqrt())
        return torch.stack(norms)

    def lipschitz(self, length: int | None, direction: Tensor | None) -> Tensor:
        """`|f| |E| sqrt(2 / s)`, |E| the largest singular value: `2 - 2 exp(-d^2 / s) <= 2 d^2 / s`.

        Of several logits |f| is the largest norm of a combination of them, of length 1.
        """
        if direction is not None:
            norm = self._norms(direction)
        else:
            norm = torch.linalg.eigvalsh(self._gram())[-1].clamp(min=1e-30).sqrt()
        return norm * torch.linalg.matrix_norm(self.letters.double(), 2) * torch.sqrt(2 / self.spread.double())

    def _norms(self, directions: Tensor) -> Tensor:
        """(...) norms of u . f in the space of the kernel, u (..., K)."""
        directions = directions.double()
        return ((directions @ self._gram()) * directions).sum(-1).clamp(min=1e-30).sqrt()

    def _gram(self) -> Tensor:
        """(K, K) inner products of the logits, without their biases, in the space of the kernel."""
        weight = self.output.weight.double()
        return weight @ self._kernel() @ weight.t()

    def _apart(self) -> Tensor:
        """(V, V) squared distances of encoded symbols; padding is zero."""
        encoded = self.mixtures.double() @ self.letters.double()
        return (encoded[:, None] - encoded).square().sum(2)
