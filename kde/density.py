"""Kernel density on the unit square with reflected borders (DESIGN section 6).

A Gaussian kernel with bandwidth matrix H sits on every sample; mass that would leave the square is folded back at the border that it
crosses. The kernel is mirrored, not only its centre, so a tilted H stays consistent at the border. Kernels much narrower than the square
need the nine nearest mirror images (the authors' 9-fold reflection); wider ones get as many as they reach.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from kde.errors import InputError
from kde.samples import Array, Samples

_MINIMUM_SAMPLES = 3
_REACH = 9.0
"""Images of a sample that lie further than this many standard deviations outside the square add less than 1e-18 of its mass."""
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(8)
_MOST_PANELS = 10_000
_CHUNK = 64
"""Samples integrated at a time, neighbours along r; bounds the memory at 64 * 8 * _MOST_PANELS numbers (40 MB)."""


@dataclass(frozen=True, slots=True)
class ReflectedKDE:
    """Reflected Gaussian kernel density.

    Attributes:
        samples: what it rests on, n samples.
        bandwidth: [2, 2] kernel covariance H (squared units of the scores).
    """

    samples: Samples
    bandwidth: Array

    @classmethod
    def fit(cls, samples: Samples, factor: float) -> "ReflectedKDE":
        """Kernels with H = factor^2 times the covariance of the samples."""
        return cls(samples, factor**2 * covariance(samples))

    def pdf(self, points: Array) -> Array:
        """Density at points [k, 2] of the unit square, shape [k]; zero outside."""
        total = np.zeros(len(points))
        for centres, weights, tilt in self._images(self.samples.features, self.samples.weights):
            h_mm, h_rr, h_mr = self.bandwidth[0, 0], self.bandwidth[1, 1], tilt * self.bandwidth[0, 1]
            determinant = h_mm * h_rr - h_mr * h_mr
            dm = points[:, None, 0] - centres[None, :, 0]
            dr = points[:, None, 1] - centres[None, :, 1]
            exponent = (h_rr * dm * dm - 2 * h_mr * dm * dr + h_mm * dr * dr) / (2 * determinant)
            total += np.exp(-exponent) @ weights / (2 * np.pi * np.sqrt(determinant))
        inside = ((points >= 0) & (points <= 1)).all(axis=1)
        return np.where(inside, total, 0.0)

    def sample(self, count: int, rng: np.random.Generator) -> Array:
        """Draw `count` points [count, 2] from the density: a kernel's centre, its noise, folded back into the square."""
        centres = self.samples.features[rng.choice(len(self.samples), size=count, p=self.samples.weights)]
        noise = rng.standard_normal((count, 2)) @ np.linalg.cholesky(self.bandwidth).T
        return np.asarray(1 - abs(1 - (centres + noise) % 2), dtype=np.float64)

    def cell_masses(self, n_m: int, n_r: int) -> Array:
        """Probability of each cell of an n_m x n_r grid, shape [n_m, n_r], summing to 1.

        Exact (error function) along m, eight Gauss-Legendre nodes a panel along r with panels no wider than the kernel's finest
        scale: the error is below 1e-12 a cell.

        Raises:
            InputError: the kernels are so narrow that the samples are all but constant.
        """
        panels = int(np.ceil(max(1.0, 1 / (n_r * self._finest_scale()))))
        if n_r * panels > _MOST_PANELS:
            remedy = "the kernels are too narrow to integrate: take a larger bandwidth, or label more varied traces"
            raise InputError("density", field="bandwidth", value=self.bandwidth.tolist(), remedy=remedy)
        edges = np.linspace(0, 1, n_r * panels + 1)
        width = np.diff(edges)[:, None]
        nodes = (edges[:-1, None] + width * (_NODES + 1) / 2).ravel()
        node_weights = (width * _NODE_WEIGHTS / 2).ravel()
        masses = np.zeros((n_m, len(nodes)))
        m_edges = np.linspace(0, 1, n_m + 1)
        reach = _REACH * np.sqrt(self.bandwidth[1, 1])
        for centres, weights, tilt in self._images(*self._distinct()):
            order = np.argsort(centres[:, 1])
            for start in range(0, len(order), _CHUNK):
                chunk = order[start : start + _CHUNK]
                near = slice(*np.searchsorted(nodes, (centres[chunk[0], 1] - reach, centres[chunk[-1], 1] + reach)))
                masses[:, near] += self._strip_density(centres[chunk], weights[chunk], tilt, m_edges, nodes[near])
        cells = (masses * node_weights).reshape(n_m, n_r, -1).sum(axis=2)
        return np.asarray(cells / cells.sum(), dtype=np.float64)

    def _distinct(self) -> tuple[Array, Array]:
        """Features and weights with equal samples merged: PRM scores are coarse, so many are."""
        features, places = np.unique(self.samples.features, axis=0, return_inverse=True)
        return features, np.bincount(places.ravel(), weights=self.samples.weights).astype(np.float64)

    def _strip_density(self, centres: Array, weights: Array, tilt: int, m_edges: Array, r_nodes: Array) -> Array:
        """Mass between neighbouring m_edges per unit of r at r_nodes, summed over kernels: [len(m_edges) - 1, len(r_nodes)]."""
        h_mm, h_rr, h_mr = self.bandwidth[0, 0], self.bandwidth[1, 1], tilt * self.bandwidth[0, 1]
        offset = r_nodes[:, None] - centres[None, :, 1]
        marginal = np.exp(-offset * offset / (2 * h_rr)) / np.sqrt(2 * np.pi * h_rr)
        conditional_mean = centres[None, :, 0] + h_mr / h_rr * offset
        conditional_scale = np.sqrt(h_mm - h_mr * h_mr / h_rr)
        below = [(ndtr((edge - conditional_mean) / conditional_scale) * marginal) @ weights for edge in m_edges]
        return np.diff(np.stack(below), axis=0)

    def _finest_scale(self) -> float:
        """Shortest length over which the integrand along r changes: the kernel's own scale or the tilt of its conditional mean."""
        h_mm, h_rr, h_mr = self.bandwidth[0, 0], self.bandwidth[1, 1], abs(self.bandwidth[0, 1])
        own = float(np.sqrt(h_rr))
        return own if h_mr == 0 else min(own, float(np.sqrt(h_mm - h_mr * h_mr / h_rr) * h_rr / h_mr))

    def _images(self, features: Array, weights: Array) -> list[tuple[Array, Array, int]]:
        """Mirror images of the samples near the square, their weights, and the sign that mirroring gives to the tilt of H."""
        along_m, along_r = (
            _near_images(axis, _REACH * float(np.sqrt(self.bandwidth[k, k]))) for k, axis in enumerate(features.T)
        )
        found = []
        for (m, m_near, m_sign), (r, r_near, r_sign) in product(along_m, along_r):
            near = m_near & r_near
            found.append((np.column_stack((m[near], r[near])), weights[near], m_sign * r_sign))
        return found


def _near_images(values: Array, reach: float) -> list[tuple[Array, NDArray[np.bool_], int]]:
    """Images of values in [0, 1] under mirroring at 0 and 1, which of them lie within `reach` of [0, 1], and their orientation.

    Mirroring again and again gives 2 k + x and 2 k - x for every whole k.
    """
    found = []
    most = int(np.ceil((reach + 1) / 2))
    for shift, sign in product(range(-2 * most, 2 * most + 1, 2), (1, -1)):
        images = shift + sign * values
        near = (images > -reach) & (images < 1 + reach)
        if near.any():
            found.append((images, near, sign))
    return found


def covariance(samples: Samples) -> Array:
    """Weighted covariance [2, 2], unbiased for reliability weights."""
    return np.asarray(np.cov(samples.features.T, aweights=samples.weights), dtype=np.float64)


def check_samples(samples: Samples, *, name: str) -> None:
    """Refuse samples that have no density, saying what to do.

    Raises:
        InputError: fewer than 3 samples, or samples on a line.
    """
    if len(samples) < _MINIMUM_SAMPLES:
        remedy = "a density needs at least 3: label more traces of this class, or take it from a file of class samples (--class-samples)"
        raise InputError(name, field="samples", value=len(samples), remedy=remedy)
    spread = covariance(samples)
    if np.linalg.matrix_rank(spread, hermitian=True) < 2:
        remedy = "the samples lie on one line: label more varied traces"
        raise InputError(name, field="covariance", value=spread.tolist(), remedy=remedy)
