"""Checks of chapter 2, the minimax game: each knows the usual wrong answers and names them."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ganlab.lab.checks import Answer, check
from ganlab.lab.checks.read import F64, number, parts, points, tensor, vary
from ganlab.lab.checks.words import Slips, close, equal, need, of_batches, when


@check("2.1", "right, and it stays right where both densities underflow")
def best_discriminator(answer: Answer) -> None:
    """`answer(log_p, log_q)` is p / (p + q), also where both underflow."""
    log_p, log_q = points([-1.0, *vary(-0.2, -3.0, 0.7)], [-1.0, *vary(-2.0, -0.5, 0.1)])
    p, q = log_p.exp(), log_q.exp()
    found, right = tensor(answer(log_p, log_q), log_p.shape, "D"), p / (p + q)
    at = int((found - right).abs().argmax())
    wrong: Slips = {
        q / (p + q): "this is p_g/(p_data + p_g), the probability of *fake*: swap the two",
        log_p - log_q: "this is the logit, log p_data - log p_g; D is its sigmoid",
        p / q: "this is the ratio p_data/p_g, which is not a probability: see Hint 2",
        log_p / (log_p + log_q): "the inputs are logarithms of densities: see Hint 2",
        torch.sigmoid(p - q): "the sigmoid is of the difference of *logarithms*, not of densities",
        ...: f"at p_data = {p[at]:.2f}, p_g = {q[at]:.2f} your D is {found[at]:.3f}, the best is"
        f" {right[at]:.3f}",
    }
    equal(found, right, "D", wrong)
    far = (
        torch.tensor([-1800.0, -2000.0, -1e5]),
        torch.tensor([vary(-1801.0, by=2e-3), -1900.0, -1e5]),
    )
    found = tensor(answer(*far), far[0].shape, "D")
    wrong = {
        ...: "right where the densities are ordinary numbers, but where both underflow it gives"
        f" {[round(v, 3) for v in found.tolist()]}: do not take exp of the inputs, see Hint 3",
    }
    equal(found, torch.sigmoid(far[0] - far[1]), "D", wrong)


@check("2.2", "right: finite, with its slope, even at logits of ±200")
def d_loss(answer: Answer) -> None:
    """`answer(real_logits, fake_logits)` is -V, finite, with finite gradients."""
    real, fake = points(*vary([0.5, -1.0, 2.0], [-0.3, 1.2, 0.4, -2.0, 0.9]))
    zero = number(answer(torch.zeros(3), torch.zeros(5)), "the loss")
    on_real, on_fake = softplus(-real), softplus(fake)
    wrong: Slips = {
        **of_batches(on_real, on_fake),
        softplus(real).mean() + softplus(-fake).mean(): "real and fake are exchanged: D wants"
        " large logits on real samples",
        fake.mean() - real.mean(): "linear, as a Wasserstein critic's loss: V has a logarithm",
        ...: f"your loss is {{found:.4f}} where {{right:.4f}} is right, and {zero:.4f} at logits of"
        f" zero, where it must be log 4 = {math.log(4):.4f}: see Hint 1",
    }
    equal(answer(real, fake), on_real.mean() + on_fake.mean(), "the loss", wrong)
    for a_real, a_fake in ((-200.0, 200.0), (200.0, -200.0)):
        logits = [torch.full((2,), v, requires_grad=True) for v in (a_real, a_fake)]
        loss = answer(*logits)
        value, wanted = number(loss, "the loss"), max(0.0, 2 * a_fake)
        where = f"at logits {a_real:g} (real) and {a_fake:g} (fake) it is"
        wrong = {
            when(not math.isfinite(value)): f"{where} {value}: take softplus of the logit, not the"
            " logarithm of its sigmoid",
            ...: f"{where} {value:.2f}, not {wanted:.2f}: a clamp or a constant hides the slope",
        }
        equal(value, wanted, "the loss", wrong)
        finite = all(torch.isfinite(g).all() for g in torch.autograd.grad(loss, logits))
        need(finite, "the loss is finite at large logits, but its gradient is not: use softplus")


def _js(p: Tensor, q: Tensor) -> Tensor:
    m = ((p + q) / 2).clamp(min=1e-300)
    return (torch.xlogy(p, p / m) + torch.xlogy(q, q / m)).sum() / 2


@check("2.3", "right, empty bins included")
def js_from_counts(answer: Answer) -> None:
    """`answer(p_counts, q_counts)` is JS in nats between relative frequencies."""

    def js(one: list[float], two: list[float]) -> float:
        return number(answer(torch.tensor(one), torch.tensor(two)), "JS")

    counts = vary([40.0, 30.0, 20.0, 10.0], [20.0, 20.0, 60.0, 100.0])
    counts = tuple([float(round(v)) for v in row] for row in counts)
    n_p, n_q = points(*counts)
    p, q, total = n_p / n_p.sum(), n_q / n_q.sum(), (n_p + n_q).sum()
    m, right = (p + q) / 2, _js(p, q)
    kl, turned = (
        ((p * (p / q).log()).sum(), (q * (q / p).log()).sum()),
        m * (m.square() / p / q).log(),
    )
    wrong: Slips = {
        right / math.log(2): "this is in bits (logarithm to base 2); nats are asked for",
        2 * right: "twice too large: each KL divergence counts half",
        right.sqrt(): "this is the square root, the Jensen-Shannon *distance*: square it",
        (p * (p / m).log()).sum(): "only KL(p||m): the other half, KL(q||m), is missing",
        kl[0]: "this is KL(p||q): compare both with the mixture m, not with each other",
        kl[1]: "this is KL(q||p): compare both with the mixture m, not with each other",
        sum(kl) / 2: "this is the mean of the two KL divergences (Jeffreys'); JS goes through m",
        turned.sum() / 2: "the KL divergences are turned round: m stands second, KL(p||m)",
        -right: "the sign is turned: JS is never negative",
        _js(n_p, n_q): "the counts were not normalised: divide each histogram by its own total",
        _js(n_p / total, n_q / total): "divide each histogram by its *own* total, not a common one",
    }
    equal(js(*counts), right, "your JS", wrong, "the cases of Hint 3")
    apart = js([3.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 1.0])
    wrong = {
        when(math.isnan(apart)): "NaN where bins are empty: 0·log 0 counts as 0, and a bin may be"
        " empty in both histograms: see Hint 2",
        ...: "histograms without a common bin must give log 2 = {right:.4f}, yours gives"
        " {found:.4f}: what happens to the empty bins?",
    }
    equal(apart, math.log(2), "JS", wrong)
    equal(js([3, 1, 0], [6, 2, 0]), 0, "with equal frequencies, in whole numbers, JS", within=1e-6)


@check("2.4", "right: with beta = 0 it is alpha times the old optimum")
def smoothed_best_d(answer: Answer) -> None:
    """`answer(p, q, alpha, beta)` is (alpha p + beta q) / (p + q)."""
    p, q = points([0.4, *vary(0.1, 0.9, 0.2)], [0.4, *vary(0.5, 0.05, 0.3)])
    (alpha, beta), both = vary(0.8, 0.15), p + q
    found, plain = tensor(answer(p, q, alpha, 0.0), p.shape, "D"), alpha * p / both
    wrong: Slips = {
        alpha * p / (alpha * p + q): "this forgets that a real sample with target alpha also"
        " carries (1-alpha)·log(1-D): see Hint 2",
        p / both: "this is the optimum without smoothing: alpha must enter",
        (1 - alpha) * p / both: "alpha is the target on real samples, not what is taken off it",
        alpha * q / both: "p_data and p_g are exchanged",
        ...: f"at p_data = p_g and alpha = {alpha:.3g}, beta = 0 your D is {found[0]:.3f}; the"
        f" optimum is {alpha / 2:.3f}: see Hint 1",
    }
    equal(found, plain, "D", wrong)
    wrong = {
        (alpha * p + (1 - beta) * q) / both: "right for beta = 0... but beta is the target itself,"
        " not its distance from 1: A = alpha·p + beta·q",
        plain: "right for beta = 0, but beta does not enter: A = alpha·p + beta·q",
        alpha * p / (alpha * p + (1 - beta) * q): "each cross-entropy has two terms; yours keeps"
        " one of each: see Hint 2",
        ...: "right for beta = 0, wrong with both targets soft: A + B = p + q, see Hint 3",
    }
    equal(answer(p, q, alpha, beta), (alpha * p + beta * q) / both, "D", wrong)


@check("2.5", "right: with p_g = p_data this D says the prior, whatever x")
def unequal(answer: Answer) -> None:
    """`answer(p, q, prior, dx)` is the best D and the value of V with prior."""
    x = torch.linspace(-6, 6, 601, dtype=F64)
    dx, prior, names = (x[1] - x[0]).item(), vary(0.8), ("the best D on the grid", "the value")
    p, q = ((-((x + s) ** 2) / 2).exp() / math.sqrt(2 * math.pi) for s in vary(1.0, -1.0))
    d, value = parts(answer(p, q, prior, dx), *names)
    a, b = prior * p, (1 - prior) * q
    best, turned, d = a / (a + b), (1 - prior) * p, tensor(d, p.shape, "D")
    wrong: Slips = {
        p / (p + q): "this D ignores the prior: A = prior·p, B = (1-prior)·q",
        turned / (turned + prior * q): "the prior belongs to real samples: you weigh by 1 - prior",
        1 - best: "this is the probability of *fake*",
        a / (p + q): "the denominator needs the weights too: A + B = prior·p + (1-prior)·q",
        ...: f"where p = q D must be the prior, {prior:.3g}; at x = 0 yours is"
        f" {d[len(x) // 2]:.3f}, right is {best[len(x) // 2]:.3f}",
    }
    equal(d, best, "D", wrong)
    plain = (p * best.log() + q * (1 - best).log()).sum() * dx
    v = (a * best.log() + b * (1 - best).log()).sum() * dx
    entropy = -prior * math.log(prior) - (1 - prior) * math.log(1 - prior)
    wrong = {
        v + entropy: "this is the weighted JS alone; the value also has minus the entropy of the"
        " prior: for p = q it must be prior·log prior + ...",
        plain: "D is right, but in the value each expectation has its weight too",
        -v: "D is right; the sign of the value is turned",
        v / dx: "D is right; the sum over the grid needs a factor dx to be an integral",
        2 * v: "D is right; the value is twice too large",
    }
    equal(value, v, "D is right; the value", wrong, "Hint 3", 1e-4)
    gaps = points([1.0, 0.5, 0.0], [0.0, 0.5, 1.0])
    sound = math.isfinite(number(parts(answer(*gaps, prior, 1.0), *names)[1], "the value"))
    need(sound, "right, except where one density is zero: use torch.xlogy, see Hint 3")


@check("2.6", "right: 2 KL(m || p_data), the divergence of the non-saturating loss")
def ns_divergence(answer: Answer) -> None:
    """`answer(p, q, dx)` is 2 KL(m || p): its gradient in q is -log D*, up to a constant."""
    x = torch.linspace(-8, 8, 321, dtype=F64)  # so far out that the mass at the ends is nothing
    dx = (x[1] - x[0]).item()

    def density(values: Tensor) -> Tensor:
        return values.exp() / (values.exp().sum() * dx)

    left, right_of, wide = vary(0.5, 0.8, 1.5)
    p, q = density(-((x + left) ** 2) / 2), density(-((x - right_of) ** 2) / wide)
    leaf = q.clone().requires_grad_()
    value = answer(p, leaf, dx)
    found = number(value, "the divergence")
    graph = isinstance(value, Tensor) and value.requires_grad
    need(graph, "no gradient reaches p_g: compute with torch operations on the input tensors")

    def along(other: Tensor) -> Tensor:
        # Only directions that keep the mass matter: a constant in x is free. And the ends of the
        # grid count half where the integral is a sum of trapezoids.
        return (other - (q * other).sum() * dx)[1:-1]

    m = (p + q) / 2
    felt = -(p / (p + q)).log()
    gradient, right = along(torch.autograd.grad(value, leaf)[0] / dx), along(felt)
    others = {
        (q / m).log() / 2: "JS",
        (q / m).log(): "2 JS, which the *saturating* loss descends",
        (q / p).log(): "the reverse KL(p_g||p_data), the first half of the theorem's first form",
        -p / q: "KL(p_data||p_g)",
        ((m / q).log() - p / q) / 2: "KL(m||p_g): m is to be compared with p_data",
        (m / q).log() - p / q: "2 KL(m||p_g): m is to be compared with p_data",
        -p / (2 * m): "KL(p_data||m), the wrong way round",
        -p / m: "2 KL(p_data||m), the wrong way round",
        felt / 2: "KL(m||p_data): half as strong as what the generator feels",
        2 * felt: "4 KL(m||p_data): twice as strong as what the generator feels",
        -felt: "the right one with its sign turned",
    }
    factor = any(close(gradient * f, right, 1e-4) for f in (dx, 1 / dx))
    worst = x[1:-1][(gradient - right).abs().argmax()]
    wrong = {along(slope): f"this is {name}" for slope, name in others.items()} | {
        when(factor): "right up to a factor dx: an integral over the grid is a sum times dx, once",
        ...: "its derivative in p_g is not -log D* + constant: the largest difference is at x ="
        f" {worst:.2f}. Start from f'(r) = log(1 + r), Hint 1",
    }
    equal(gradient, right, "its derivative", wrong, within=1e-4)
    at_equal = {...: "the gradient is right; for p = q the value is {found:.4f}, shift it to 0"}
    equal(answer(p, p.clone(), dx), 0, "the divergence", at_equal, within=1e-4)
    wrong = {...: "the gradient is right, the value is not: is a term constant only for this p?"}
    equal(found, (2 * m * (m / p).log()).sum() * dx, "the divergence", wrong, within=1e-4)
