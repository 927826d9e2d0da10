"""Checks of chapter 2, the minimax game: each knows the usual wrong answers and names them."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ganlab.lab.checks import Answer, Fail, check
from ganlab.lab.checks.read import F64, close, number_or_blank, tensor


@check("2.1")
def best_discriminator(answer: Answer) -> str:
    """`answer(log_p, log_q)` is p / (p + q), also where both underflow."""
    log_p = torch.tensor([-1.0, -0.2, -3.0, 0.7], dtype=F64)
    log_q = torch.tensor([-1.0, -2.0, -0.5, 0.1], dtype=F64)
    p, q = log_p.exp(), log_q.exp()
    found = tensor(answer(log_p, log_q), log_p.shape, "D")
    if not close(found, p / (p + q)):
        if close(found, q / (p + q)):
            raise Fail("this is p_g/(p_data + p_g), the probability of *fake*: swap the two")
        if close(found, log_p - log_q):
            raise Fail("this is the logit, log p_data - log p_g; D is its sigmoid")
        if close(found, p / q):
            raise Fail("this is the ratio p_data/p_g, which is not a probability: see Hint 2")
        if close(found, log_p / (log_p + log_q)):
            raise Fail("the inputs are logarithms of densities, not densities: see Hint 2")
        if close(found, torch.sigmoid(p - q)):
            raise Fail("the sigmoid is of the difference of *logarithms*, not of densities")
        at = int((found - p / (p + q)).abs().argmax())
        raise Fail(
            f"at p_data = {p[at]:.2f}, p_g = {q[at]:.2f} your D is {found[at]:.3f},"
            f" the best is {p[at] / (p[at] + q[at]):.3f}"
        )
    far = torch.tensor([-1800.0, -2000.0, -1e5]), torch.tensor([-1801.0, -1900.0, -1e5])
    found = tensor(answer(*far), far[0].shape, "D")
    if not close(found, torch.sigmoid(far[0] - far[1])):
        raise Fail(
            f"right where the densities are ordinary numbers, but where both underflow it gives"
            f" {[round(v, 3) for v in found.tolist()]}: do not take exp of the inputs, see Hint 3"
        )
    return "right, and it stays right where both densities underflow"


@check("2.2")
def d_loss(answer: Answer) -> str:
    """`answer(real_logits, fake_logits)` is -V, finite, with finite gradients."""
    real = torch.tensor([0.5, -1.0, 2.0], dtype=F64)
    fake = torch.tensor([-0.3, 1.2, 0.4, -2.0, 0.9], dtype=F64)
    on_real, on_fake = softplus(-real).mean(), softplus(fake).mean()
    right = (on_real + on_fake).item()
    found = number_or_blank(answer(real, fake), "the loss")
    joined = torch.cat([softplus(-real), softplus(fake)])
    wrong = {
        -right: "the sign is turned: this is V, which D maximises; the loss is -V",
        right / 2: "half of it: V is a *sum* of two means, not their mean (see Hint 2)",
        joined.mean().item(): "one mean over both batches joined weighs the classes by their"
        " sizes; take a mean over each batch, then add",
        2 * joined.mean().item(): "one mean over both batches joined weighs the classes by their"
        " sizes; take a mean over each batch, then add",
        joined.sum().item(): "sums over the batches; expectations become means",
        (softplus(real).mean() + softplus(-fake).mean()).item(): "real and fake are exchanged:"
        " D wants large logits on real samples",
        (on_real - on_fake).item(): "the second term has the wrong sign: log(1-D) ="
        " -softplus(a), and the loss is minus that",
        on_real.item(): "the term of the generated samples is missing",
        on_fake.item(): "the term of the real samples is missing",
        (-real.mean() + fake.mean()).item(): "this is linear in the logits (a Wasserstein"
        " critic's loss); V has a logarithm",
    }
    if not close(found, right):
        for value, diagnosis in wrong.items():
            if close(found, value):
                raise Fail(diagnosis)
        zero = number_or_blank(answer(torch.zeros(3), torch.zeros(5)), "the loss")
        raise Fail(
            f"your loss is {found:.4f} where {right:.4f} is right, and {zero:.4f} at logits of"
            f" zero, where it must be log 4 = {math.log(4):.4f}: see Hint 1"
        )
    for a_real, a_fake in ((-200.0, 200.0), (200.0, -200.0)):
        logits = [torch.full((2,), v, requires_grad=True) for v in (a_real, a_fake)]
        loss = answer(*logits)
        value, expected = number_or_blank(loss, "the loss"), max(0.0, 2 * a_fake)
        if not math.isfinite(value):
            raise Fail(f"at logits {a_real:g} (real) and {a_fake:g} (fake) it is {value}: take"
                       " softplus of the logit, not the logarithm of its sigmoid")  # fmt: skip
        if not close(value, expected):
            raise Fail(f"at logits {a_real:g} (real) and {a_fake:g} (fake) it is {value:.2f}, not"
                       f" {expected:.2f}: a clamp or a small constant hides the slope")  # fmt: skip
        grads = torch.autograd.grad(loss, logits)
        if not all(torch.isfinite(g).all() for g in grads):
            raise Fail("the loss is finite at large logits, but its gradient is not: use softplus")
    return "right: finite, with its slope, even at logits of ±200"


def _js(p: Tensor, q: Tensor) -> Tensor:
    m = ((p + q) / 2).clamp(min=1e-300)
    return (torch.xlogy(p, p / m) + torch.xlogy(q, q / m)).sum() / 2


@check("2.3")
def js_from_counts(answer: Answer) -> str:
    """`answer(p_counts, q_counts)` is JS in nats between relative frequencies."""
    n_p, n_q = torch.tensor([4.0, 3.0, 2.0, 1.0]), torch.tensor([2.0, 2.0, 6.0, 10.0])
    p, q = (n_p / n_p.sum()).double(), (n_q / n_q.sum()).double()
    m = (p + q) / 2
    right = _js(p, q).item()
    found = number_or_blank(answer(n_p.clone(), n_q.clone()), "JS")
    kl = (p * (p / q).log()).sum().item(), (q * (q / p).log()).sum().item()
    wrong = {
        right / math.log(2): "this is in bits (logarithm to base 2); nats are asked for",
        2 * right: "twice too large: each KL divergence counts half",
        math.sqrt(right): "this is the square root, the Jensen-Shannon *distance*: square it",
        (p * (p / m).log()).sum().item(): "only KL(p||m): the other half, KL(q||m), is missing",
        kl[0]: "this is KL(p||q): compare both with the mixture m, not with each other",
        kl[1]: "this is KL(q||p): compare both with the mixture m, not with each other",
        sum(kl) / 2: "this is the mean of the two KL divergences (Jeffreys'); JS goes through m",
        (m * (m / p).log() + m * (m / q).log()).sum().item() / 2: "the KL divergences are turned"
        " round: the mixture m stands second, KL(p||m)",
        -right: "the sign is turned: JS is never negative",
    }
    if not close(found, right):
        for value, diagnosis in wrong.items():
            if close(found, value):
                raise Fail(diagnosis)
        if close(found, _js(n_p.double(), n_q.double())):
            raise Fail("the counts were not normalised: divide each histogram by its own total")
        total = (n_p.sum() + n_q.sum()).double()
        if close(found, _js(n_p / total, n_q / total)):
            raise Fail("each histogram is divided by its *own* total, not by the common one")
        raise Fail(f"your JS is {found:.4f} where {right:.4f} is right: test the cases of Hint 3")
    one, two = torch.tensor([3.0, 1.0, 0.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0])
    found = number_or_blank(answer(one.clone(), two.clone()), "JS")
    if math.isnan(found):
        raise Fail("NaN where bins are empty: 0·log 0 counts as 0, and a bin may be empty in both"
                   " histograms: see Hint 2")  # fmt: skip
    if not close(found, math.log(2)):
        raise Fail(f"histograms without a common bin must give log 2 = {math.log(2):.4f},"
                   f" yours gives {found:.4f}: what happens to the empty bins?")  # fmt: skip
    whole = number_or_blank(answer(torch.tensor([3, 1, 0]), torch.tensor([6, 2, 0])), "JS")
    if not abs(whole) < 1e-6:
        raise Fail(f"equal frequencies must give 0, whole-number counts too; yours gives {whole}")
    return "right, empty bins included"


@check("2.4")
def smoothed_best_d(answer: Answer) -> str:
    """`answer(p, q, alpha, beta)` is (alpha p + beta q) / (p + q)."""
    p = torch.tensor([0.4, 0.1, 0.9, 0.2], dtype=F64)
    q = torch.tensor([0.4, 0.5, 0.05, 0.3], dtype=F64)
    alpha, beta = 0.8, 0.15
    found = tensor(answer(p, q, alpha, 0.0), p.shape, "D")
    if not close(found, alpha * p / (p + q)):
        if close(found, alpha * p / (alpha * p + q)):
            raise Fail("this forgets that a real sample with target alpha also carries"
                       " (1-alpha)·log(1-D): see Hint 2")  # fmt: skip
        if close(found, p / (p + q)):
            raise Fail("this is the optimum without smoothing: alpha must enter")
        if close(found, (1 - alpha) * p / (p + q)):
            raise Fail("alpha is the target on real samples, not what is taken off it")
        if close(found, alpha * q / (p + q)):
            raise Fail("p_data and p_g are exchanged")
        raise Fail(
            f"at p_data = p_g and alpha = {alpha}, beta = 0 your D is {found[0]:.3f};"
            f" the optimum is {alpha / 2:.3f}: see Hint 1"
        )
    found = tensor(answer(p, q, alpha, beta), p.shape, "D")
    if not close(found, (alpha * p + beta * q) / (p + q)):
        if close(found, (alpha * p + (1 - beta) * q) / (p + q)):
            raise Fail("right for beta = 0... but beta is the target itself, not its distance"
                       " from 1: A = alpha·p + beta·q")  # fmt: skip
        if close(found, alpha * p / (p + q)):
            raise Fail("right for beta = 0, but beta does not enter: A = alpha·p + beta·q")
        if close(found, alpha * p / (alpha * p + (1 - beta) * q)):
            raise Fail("each cross-entropy has two terms; yours keeps one of each: see Hint 2")
        raise Fail("right for beta = 0, wrong with both targets soft: A + B = p + q, see Hint 3")
    return "right: with beta = 0 it is alpha times the old optimum"


@check("2.5")
def unequal(answer: Answer) -> str:
    """`answer(p, q, prior, dx)` is the best D and the value of V with prior."""
    x = torch.linspace(-6, 6, 601, dtype=F64)
    dx = (x[1] - x[0]).item()
    root = math.sqrt(2 * math.pi)
    p, q = (-((x + 1) ** 2) / 2).exp() / root, (-((x - 1) ** 2) / 2).exp() / root
    prior = 0.8
    result = answer(p, q, prior, dx)
    if result is ... or result is None:
        raise NotImplementedError
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise Fail("return two things: the best D on the grid, and the value")
    a, b = prior * p, (1 - prior) * q
    best = a / (a + b)
    d = tensor(result[0], p.shape, "D")
    if not close(d, best):
        if close(d, p / (p + q)):
            raise Fail("this D ignores the prior: A = prior·p, B = (1-prior)·q")
        if close(d, (1 - prior) * p / ((1 - prior) * p + prior * q)):
            raise Fail("the prior belongs to the real samples: yours weighs them by 1 - prior")
        if close(d, 1 - best):
            raise Fail("this is the probability of *fake*")
        if close(d, a / (p + q)):
            raise Fail("the denominator needs the weights too: A + B = prior·p + (1-prior)·q")
        middle = len(x) // 2
        raise Fail(f"where p = q your D is {d[middle]:.3f}; it must be the prior, {prior}")
    value = number_or_blank(result[1], "the value")
    plain = (p * best.log() + q * (1 - best).log()).sum().item() * dx
    v = (a * best.log() + b * (1 - best).log()).sum().item() * dx
    entropy = -prior * math.log(prior) - (1 - prior) * math.log(1 - prior)
    if not close(value, v, 1e-4):
        if close(value, v + entropy, 1e-4):
            raise Fail("this is the weighted JS alone; the value also has minus the entropy of"
                       " the prior: for p = q it must be prior·log prior + ...")  # fmt: skip
        if close(value, plain, 1e-4):
            raise Fail("D is right, but in the value each expectation has its weight too")
        if close(value, -v, 1e-4):
            raise Fail("D is right; the sign of the value is turned")
        if close(value, v / dx, 1e-4):
            raise Fail("D is right; the sum over the grid needs a factor dx to be an integral")
        if close(value, 2 * v, 1e-4):
            raise Fail("D is right; the value is twice too large")
        raise Fail(f"D is right; the value is {value:.4f} and should be {v:.4f}: see Hint 3")
    p_gap = torch.tensor([1.0, 0.5, 0.0], dtype=F64)
    q_gap = p_gap.flip(0)
    if not math.isfinite(number_or_blank(answer(p_gap, q_gap, prior, 1.0)[1], "the value")):
        raise Fail("right, except where one density is zero: use torch.xlogy, see Hint 3")
    return "right: with p_g = p_data this D says the prior, whatever x"


@check("2.6")
def ns_divergence(answer: Answer) -> str:
    """`answer(p, q, dx)` is 2 KL(m || p): its gradient in q is -log D*, up to a constant."""
    x = torch.linspace(-4, 4, 161, dtype=F64)
    dx = (x[1] - x[0]).item()

    def density(values: Tensor) -> Tensor:
        return values.exp() / (values.exp().sum() * dx)

    p, q = density(-((x + 0.5) ** 2) / 2), density(-((x - 0.8) ** 2) / 1.5)
    leaf = q.clone().requires_grad_()
    value = answer(p, leaf, dx)
    found = number_or_blank(value, "the divergence")
    if not isinstance(value, Tensor) or not value.requires_grad:
        raise Fail("no gradient reaches p_g: compute with torch operations on the input tensors")
    gradient = torch.autograd.grad(value, leaf)[0] / dx
    m = (p + q) / 2
    felt = -(p / (p + q)).log()

    def along(other: Tensor) -> Tensor:
        # Only directions that keep the mass matter: a constant in x is free.
        return other - (q * other).sum() * dx

    if not close(along(gradient), along(felt), 1e-4):
        others = {
            "JS": (q / m).log() / 2,
            "2 JS, which the *saturating* loss descends": (q / m).log(),
            "the reverse KL(p_g||p_data), the first half of the theorem's first form": (
                (q / p).log()
            ),
            "KL(p_data||p_g)": -p / q,
            "KL(m||p_g): m is to be compared with p_data": ((m / q).log() - p / q) / 2,
            "2 KL(m||p_g): m is to be compared with p_data": (m / q).log() - p / q,
            "KL(p_data||m), the wrong way round": -p / (2 * m),
            "2 KL(p_data||m), the wrong way round": -p / m,
            "KL(m||p_data): half as strong as what the generator feels": felt / 2,
            "4 KL(m||p_data): twice as strong as what the generator feels": 2 * felt,
            "the right one with its sign turned": -felt,
        }
        for name, slope in others.items():
            if close(along(gradient), along(slope), 1e-4):
                raise Fail(f"this is {name}")
        if any(close(along(gradient) * f, along(felt), 1e-4) for f in (dx, 1 / dx)):
            raise Fail("right up to a factor dx: an integral over the grid is a sum times dx, once")
        at = int((along(gradient) - along(felt)).abs().argmax())
        raise Fail(
            f"its derivative in p_g is not -log D* + constant: the largest difference is at"
            f" x = {x[at]:.2f}. Start from f'(r) = log(1 + r), Hint 1"
        )
    at_equal = number_or_blank(answer(p, p.clone(), dx), "the divergence")
    if abs(at_equal) > 1e-6:
        raise Fail(f"the gradient is right; for p = q the value is {at_equal:.4f}, shift it to 0")
    if not close(found, (2 * m * (m / p).log()).sum().item() * dx, 1e-4):
        raise Fail("the gradient is right, the value is not: is a term constant only for this p?")
    return "right: 2 KL(m || p_data), the divergence of the non-saturating loss"
