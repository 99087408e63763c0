#!/usr/bin/env python3
"""Golden values of tests/eval/golden_test.cc: every score computed a second time with numpy and scipy.

Usage: python3 tests/golden/eval_metrics.py > tests/golden/eval_metrics.txt      (needs numpy 2 and scipy)
Lines are `key value`. The inputs are integer formulas that the test repeats.
"""
import itertools
import math

import numpy as np
from scipy import integrate, ndimage, optimize, stats

D, H, W, K = 6, 9, 10, 3
SPACING = (4.0, 1.4, 1.7)
TOLERANCE = 1.5
z, y, x = np.meshgrid(np.arange(D), np.arange(H), np.arange(W), indexing="ij")


def labels(shift):
    """Two overlapping balls, moved along x by `shift` voxels and grown for odd shifts."""
    out = np.zeros((D, H, W), np.int32)
    out[(z - 2) ** 2 + (y - 4) ** 2 + (x - 3 - shift) ** 2 <= 5 + shift % 2] = 1
    out[(z - 3) ** 2 + (y - 4) ** 2 + (x - 6 - shift) ** 2 <= 3] = 2
    return out


def hashed(i):
    i = i.astype(np.uint64)
    return ((i * np.uint64(2654435761)) % np.uint64(1 << 32)) >> np.uint64(20)


def probabilities(prediction, salt):
    flat = prediction.reshape(-1)
    i = np.arange(flat.size)[:, None] * K + np.arange(K)[None, :]
    w = 1 + hashed(i + 7919 * salt) % np.uint64(50) + np.uint64(90) * (flat[:, None] == np.arange(K)[None, :])
    w = w.astype(np.float64)
    return (w / w.sum(1, keepdims=True)).astype(np.float32).reshape(D, H, W, K)


def say(key, value):
    print(f"{key} {float(value):.17g}")


def bins_of(confidence, right, bins):
    """(number of voxels, |accuracy - confidence|) of each bin that has voxels."""
    edges, out = np.arange(bins + 1) / bins, []
    for b in range(bins):
        inside = (confidence > edges[b]) & (confidence <= edges[b + 1])
        if b == 0:
            inside |= confidence == 0
        if inside.any():
            out.append((inside.sum(), abs(right[inside].mean() - confidence[inside].mean())))
    return np.array(out)


def ece(confidence, right, bins):
    n, gap = bins_of(confidence, right, bins).T
    return (n * gap).sum() / n.sum()


def adaptive_ce(confidence, right, bins):
    """A voxel in a group of equal confidences gets the accuracy of the group, so that the order in the group is
    of no importance."""
    accuracy = np.array([right[confidence == c].mean() for c in confidence])
    order = np.argsort(confidence)
    parts = [order[b * len(order) // bins : (b + 1) * len(order) // bins] for b in range(bins)]
    return sum(abs((accuracy[i] - confidence[i]).sum()) for i in parts) / len(order)


def skce(confidence, right, width=0.2):
    """All pairs."""
    residual = right - confidence
    kernel = np.exp(-np.abs(confidence[:, None] - confidence[None, :]) / width)
    return (residual[:, None] * residual[None, :] * kernel).mean()


def risk_coverage(confidence, risk):
    """(coverage, selective risk, generalised risk); the last points of the curves are at coverage 1."""
    points = []
    for threshold in sorted(set(confidence), reverse=True):
        accepted = confidence >= threshold
        points.append((accepted.mean(), risk[accepted].mean(), risk[accepted].sum() / len(risk)))
    return np.array([(0, points[0][1], 0)] + points).T


def say_risk(suffix, confidence, risk):
    coverage, selective, generalised = risk_coverage(confidence, risk)
    say("aurc" + suffix, np.trapezoid(selective, coverage))
    say("augrc" + suffix, np.trapezoid(generalised, coverage))
    for at in (0, 3, 37, 100):
        say(f"selective_risk{suffix}.{at}", np.interp(at / 100, coverage, selective))
        say(f"generalised_risk{suffix}.{at}", np.interp(at / 100, coverage, generalised))


def say_calibration(suffix, confidence, right):
    say_risk(suffix, confidence, (~right).astype(np.float64))
    n, gap = bins_of(confidence, right, 15).T
    say("average_ce_top15" + suffix, gap.mean())
    say("mce_top15" + suffix, gap[n >= 100].max())
    say("adaptive_ce_top15" + suffix, adaptive_ce(confidence, right, 15))
    say("skce" + suffix, skce(confidence, right))
    say("root_skce" + suffix, math.sqrt(skce(confidence, right)))


def entropy(p):
    p = p.astype(np.float64)
    return -(p * np.log(np.maximum(p, 1e-300))).sum(-1)


def surface(mask):
    return mask & ~ndimage.binary_erosion(mask, ndimage.generate_binary_structure(3, 1))


def distances(a, b):
    return ndimage.distance_transform_edt(~b, sampling=SPACING)[a]


def iou_distance(a, b):
    ious = []
    for c in range(1, K):
        union = ((a == c) | (b == c)).sum()
        if union:
            ious.append(((a == c) & (b == c)).sum() / union)
    return 1 - np.mean(ious) if ious else 0.0


truth, prediction = labels(0), labels(1)
p = probabilities(prediction, 0)
yhat = p.argmax(-1)
say("argmax_differs", (yhat != prediction).sum())

for c in range(1, K):
    say(f"dsc.{c}", 2 * ((prediction == c) & (truth == c)).sum() / ((prediction == c).sum() + (truth == c).sum()))
    a, b = surface(prediction == c), surface(truth == c)
    ab, ba = distances(a, b), distances(b, a)
    say(f"hd95.{c}", max(np.percentile(ab, 95), np.percentile(ba, 95)))
    say(f"nsd.{c}", ((ab <= TOLERANCE).sum() + (ba <= TOLERANCE).sum()) / (len(ab) + len(ba)))

edt = ndimage.distance_transform_edt(truth == 0, sampling=SPACING)
say("distance_sum", edt.sum())
say("distance_max", edt.max())
region = edt <= 5.0
say("region_voxels", region.sum())

onehot = np.eye(K)[truth]
sample_p = [probabilities(labels(s), s) for s in (1, 2, 3, 4)]
posterior = probabilities(truth, 11)
h, mean_p = entropy(p), np.mean([s.astype(np.float64) for s in sample_p], axis=0)
mi = np.maximum(entropy(mean_p) - np.mean([entropy(s) for s in sample_p], axis=0), 0)
for suffix, inside in (("", np.ones_like(region)), ("_foreground", region)):
    q, t = p[inside].astype(np.float64), truth[inside]
    chosen = q[np.arange(len(t)), t]
    say("nll" + suffix, -np.log(np.maximum(chosen, 1e-10)).mean())
    say("brier" + suffix, ((q - onehot[inside]) ** 2).sum(-1).mean())
    say("ece_top15" + suffix, ece(q.max(-1), q.argmax(-1) == t, 15))
    say("root_brier" + suffix, math.sqrt(((q - onehot[inside]) ** 2).sum(-1).mean()))
    say_calibration(suffix, q.max(-1), q.argmax(-1) == t)
    say("ece_marginal20" + suffix, np.mean([ece(q[:, c], t == c, 20) for c in range(K)]))
    say("entropy" + suffix, h[inside].mean())
    if suffix:
        say("entropy_predicted", h[ndimage.distance_transform_edt(prediction == 0, sampling=SPACING) <= 5.0].mean())
    say("mutual_information" + suffix, mi[inside].mean())
    wrong = prediction[inside] != t
    u = h[inside].astype(np.float32).astype(np.float64)
    say("uncertainty_spearman" + suffix, stats.spearmanr(u, wrong)[0])
    pairs = (u[wrong][:, None] > u[~wrong][None, :]) + 0.5 * (u[wrong][:, None] == u[~wrong][None, :])
    say("uncertainty_auroc" + suffix, pairs.mean())
    e = posterior[inside].astype(np.float64)
    say("nll_posterior" + suffix, -np.log(e[np.arange(len(t)), t]).mean())
    say("kl_posterior" + suffix, (e * np.log(e / q)).sum(-1).mean())

# The confidences of this case are fourths, so that many voxels tie.
coarse = np.round(probabilities(prediction, 5).astype(np.float64).reshape(-1, K) * 4)
coarse[:, 0] += 4 - coarse.sum(1)
coarse /= 4
say_calibration(".coarse", coarse.max(-1), coarse.argmax(-1) == truth.reshape(-1))

samples, raters = [labels(s) for s in range(4)], [labels(s) for s in (0, 2, 1, 0, 3, 5)]
mean_d = lambda a, b: np.mean([iou_distance(i, j) for i, j in itertools.product(a, b)])
say("ged_squared", 2 * mean_d(samples, raters) - mean_d(samples, samples) - mean_d(raters, raters))
different = lambda a: np.mean([iou_distance(i, j) for i, j in itertools.permutations(a, 2)])
say("ged_squared_unbiased", 2 * mean_d(samples, raters) - different(samples) - different(raters))
for suffix, inside in (("", np.ones_like(region)), ("_foreground", region)):
    q = p[inside].astype(np.float64)
    chosen = [np.take_along_axis(q, r[inside][:, None], -1) for r in raters]
    say("nll_raters" + suffix, np.mean([-np.log(c).mean() for c in chosen]))
    say("ece_top15_raters" + suffix, np.mean([ece(q.max(-1), q.argmax(-1) == r[inside], 15) for r in raters]))
n = math.lcm(len(samples), len(raters))
cost = np.array([[iou_distance(samples[i % 4], raters[j % 6]) for j in range(n)] for i in range(n)])
rows, columns = optimize.linear_sum_assignment(cost)
say("hm_iou", (1 - cost[rows, columns]).mean())
say("sample_diversity", mean_d(samples, samples))

# CURVAS. Every seventh voxel is certain, so that the bin of p = 1 and the clamp at 1e-8 have voxels.
def labels4(shift):
    out = labels(shift)
    out[(z - 1) ** 2 + (y - 1) ** 2 + (x - 2 - shift) ** 2 <= 2] = 3
    return out


def certain(prediction, salt, classes):
    flat = prediction.reshape(-1)
    i = np.arange(flat.size)[:, None] * classes + np.arange(classes)[None, :]
    w = 1 + hashed(i + 7919 * salt) % np.uint64(50) + np.uint64(90) * (flat[:, None] == np.arange(classes)[None, :])
    w = w.astype(np.float64)
    w[::7] = np.eye(classes)[flat[::7]]
    return (w / w.sum(1, keepdims=True)).astype(np.float32).reshape(D, H, W, classes)


def curvas_ece(q, truth):
    """q: float32 [voxels, K]. Edges and confidences are float32."""
    confidence, right = q.max(-1), q.argmax(-1) == truth
    edges, total = (np.arange(52) / 50).astype(np.float32), 0.0
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (confidence >= low) & (confidence < high)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].astype(np.float64).mean())
    return total


def crps(value, drawn, cut):
    mean, sd = np.mean(drawn), np.std(drawn)
    if cut:
        grid = np.linspace(stats.norm.ppf(0.01, mean, sd), stats.norm.ppf(0.99, mean, sd), 100)
        cdf = lambda v: np.interp(v, grid, stats.norm.cdf(grid, mean, sd), left=0, right=1)
        low, high = mean - 3 * sd, mean + 3 * sd
    else:
        grid, cdf = mean + sd * np.arange(-20, 21), lambda v: stats.norm.cdf(v, mean, sd)
        low, high = min(grid[0], value), max(grid[-1], value)
    knots = np.unique(np.clip(np.concatenate([grid, [low, high, value]]), low, high))
    return sum(integrate.quad(lambda v: (cdf(v) - (v >= value)) ** 2, s, e, epsabs=1e-12, epsrel=1e-12)[0]
               for s, e in zip(knots[:-1], knots[1:]))


organs = [labels4(s) for s in (0, 1, 2)]
q4, body = certain(labels4(1), 3, 4), np.zeros((D, H, W), bool)
body[:, 1:8, 2:9] = True  # the box of CT > 0 in the plane
inside = body.reshape(-1)
say("curvas2024.curvas_ece", np.mean([curvas_ece(q4.reshape(-1, 4)[inside], r.reshape(-1)[inside]) for r in organs]))
summary = {}
for c in range(1, 4):
    marks = np.sum([r == c for r in organs], axis=0)
    every, none, mask = (marks == 3) & body, (marks == 0) & body, labels4(1) == c
    agreed = every | none
    pc = q4[..., c].astype(np.float64)
    drawn = [((r == c) & body).sum() for r in organs]
    for key, value in (
        ("curvas_dice", 2 * (mask & every).sum() / ((mask & agreed).sum() + every.sum())),
        ("curvas_confidence", (pc[every].mean() + 1 - pc[none].mean()) / 2),
        ("curvas_crps", crps(pc[body].sum(), drawn, True) if np.std(drawn) > 0 else None),
        ("curvas_crps_uncut", crps(pc[body].sum(), drawn, False) if np.std(drawn) > 0 else abs(pc[body].sum() - np.mean(drawn)))):
        if value is not None:
            say(f"curvas2024.{key}.{c}", value)
            summary.setdefault(key, []).append(value)
for key, values in summary.items():
    say(f"curvas2024.{key}.mean_foreground", np.mean(values))

tumours = [(labels(s) > 0).astype(np.int32) for s in (0, 1, 2, 3, 5)]
q2 = certain(tumours[1], 4, 2)
share = np.mean(tumours, axis=0)
dices = []
for t in np.linspace(0.1, 0.8, 6):
    u, v = q2[..., 1] > np.float32(t), share > t + 1e-9
    dices.append(2 * (u & v).sum() / (u.sum() + v.sum() + 1e-6))
say("curvas2025.curvas_dice", np.mean(dices))
clamped = np.maximum(q2, np.float32(1e-8))
clamped /= clamped.sum(-1, keepdims=True)
say("curvas2025.curvas_ece", np.mean([curvas_ece(clamped.reshape(-1, 2), r.reshape(-1)) for r in tumours]))
drawn = [r.sum() for r in tumours]
say("curvas2025.curvas_crps", crps(q2[..., 1].astype(np.float64).sum(), drawn, True))
say("curvas2025.curvas_crps_uncut", crps(q2[..., 1].astype(np.float64).sum(), drawn, False))
for value in (0.0, 96.0, 101.5, 104.9, 130.0):
    say(f"crps_cut.{value}", crps(value, [96, 104], True))
    say(f"crps_uncut.{value}", crps(value, [96, 104], False))

a = [float((37 * i * i + 11 * i) % 101) / 100 for i in range(17)]
b = [v - 0.03 + float((53 * i) % 19) / 200 for i, v in enumerate(a)]
test = stats.ttest_rel(a, b)
say("t", test.statistic)
say("p", test.pvalue)
signed = np.array([(i if i % 3 else -i) / 8 for i in range(1, 52)])  # exact up to 50 differences
say("wilcoxon.50", stats.wilcoxon(signed[:50], method="exact").pvalue)
say("wilcoxon.51", stats.wilcoxon(signed, correction=False, method="asymptotic").pvalue)


def wilcoxon_by_all_signs(d):
    """Exact with ties: the share of all choices of signs whose rank sum is as far from its mean."""
    ranks = stats.rankdata(np.abs(d[d != 0]))
    sums = [sum(r for r, sign in zip(ranks, s) if sign) for s in itertools.product((0, 1), repeat=len(ranks))]
    mean, seen = ranks.sum() / 2, ranks[d[d != 0] > 0].sum()
    return np.mean(np.abs(np.array(sums) - mean) >= abs(seen - mean) - 1e-9)


tied = np.array([((7 * i * i + 3 * i) % 11 - 3) / 4 for i in range(14)])
say("wilcoxon.tied", wilcoxon_by_all_signs(tied))
many = np.array([((13 * i * i + 5 * i) % 47 - 20) / 8 for i in range(80)])
say("wilcoxon.many", stats.wilcoxon(many, zero_method="wilcox", correction=False, method="asymptotic").pvalue)
for q in (-1.5, 0.5, 2.9, 3.1, 8.0, 30.0):
    say(f"normal.{q}", stats.norm.sf(q))
say_risk(".cases", np.array([(5 * i * i + i) % 7 for i in range(12)]), np.array([(i * i) % 13 / 16 for i in range(12)]))
p_values = np.array([0.04, 0.001, 0.02, 0.8, 0.02, 0.011])
order = np.argsort(p_values, kind="stable")
stepped = np.minimum(np.maximum.accumulate(p_values[order] * (len(p_values) - np.arange(len(p_values)))), 1)
for i, v in zip(order, stepped):
    say(f"holm.{i}", v)
say("spearman", stats.spearmanr(a, [round(v, 1) for v in b])[0])
for t, degrees in ((0.1, 1), (2.5, 4), (8.0, 30), (1.96, 1000)):
    say(f"student.{t}.{degrees}", 2 * stats.t.sf(t, degrees))
say("quantile", np.quantile(a, 0.95))


def softmax(v):
    e = np.exp(v - v.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def tempered(temperature):
    q = softmax(np.log(np.maximum(p.astype(np.float64), 1e-10)) / temperature)
    return -np.log(np.take_along_axis(q, truth[..., None], -1)).mean()


def read_out(tau):
    q = np.mean([softmax(s.astype(np.float64) / tau) for s in sample_p], axis=0)
    return -np.log(np.take_along_axis(q, truth[..., None], -1)).mean()


for name, f, low, high in (("temperature", tempered, 0.05, 20), ("tau_out", read_out, 0.02, 2)):
    best = optimize.minimize_scalar(lambda v: f(math.exp(v)), bounds=(math.log(low), math.log(high)), method="bounded",
                                    options={"xatol": 1e-8})
    say(name, math.exp(best.x))
    say("nll_at_" + name, best.fun)
    say("nll_at_half_" + name, f(0.5))
