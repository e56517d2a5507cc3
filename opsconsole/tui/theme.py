"""The colours: a calm ground, one accent for what can be pressed, the rest for meaning only."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="opsconsole-dark",
    primary="#5fb3b3",
    secondary="#7aa2c9",
    accent="#5fb3b3",
    warning="#e5b567",
    error="#e06c75",
    success="#90bf7f",
    foreground="#d8dee9",
    background="#0f141b",
    surface="#0f141b",
    panel="#1b2430",
    dark=True,
    variables={
        "dim": "#6b7689",
        "rule": "#2a3441",
        "bright": "#ffffff",
        "cursor": "#1f2a3a",
        "footer-background": "#0f141b",
        "block-cursor-text-style": "none",
        "input-cursor-background": "#5fb3b3",
    },
)
LIGHT = Theme(
    name="opsconsole-light",
    primary="#0b6e6e",
    secondary="#2f5f8f",
    accent="#0b6e6e",
    warning="#8a5a00",
    error="#b3261e",
    success="#2e6b1f",
    foreground="#1f2933",
    background="#fbfbf8",
    surface="#fbfbf8",
    panel="#ecebe4",
    dark=False,
    variables={
        "dim": "#66707d",
        "rule": "#cfd3d8",
        "bright": "#000000",
        "cursor": "#dde8ea",
        "footer-background": "#fbfbf8",
        "block-cursor-text-style": "none",
        "input-cursor-background": "#0b6e6e",
    },
)
# Okabe-Ito: blue, orange and vermilion stay apart for red-green colour blindness.
COLOR_BLIND = Theme(
    name="opsconsole-color-blind",
    primary="#56b4e9",
    secondary="#cc79a7",
    accent="#56b4e9",
    warning="#f0e442",
    error="#e8743b",
    success="#56b4e9",
    foreground="#e4e4e4",
    background="#101114",
    surface="#101114",
    panel="#212430",
    dark=True,
    variables={
        "dim": "#7f8590",
        "rule": "#30343f",
        "bright": "#ffffff",
        "cursor": "#26304a",
        "footer-background": "#101114",
        "block-cursor-text-style": "none",
        "input-cursor-background": "#56b4e9",
    },
)
HIGH_CONTRAST = Theme(
    name="opsconsole-high-contrast",
    primary="#00ffff",
    secondary="#a0c8ff",
    accent="#00ffff",
    warning="#ffff00",
    error="#ff6060",
    success="#60ff60",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#202020",
    dark=True,
    variables={
        "dim": "#c0c0c0",
        "rule": "#808080",
        "bright": "#ffffff",
        "cursor": "#303060",
        "footer-background": "#000000",
        "block-cursor-text-style": "none",
        "input-cursor-background": "#00ffff",
    },
)
THEMES = (DARK, LIGHT, COLOR_BLIND, HIGH_CONTRAST)
