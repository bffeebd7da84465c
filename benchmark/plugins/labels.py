"""What papers call the criteria and regularizers of this package: their names in tables and figures, by the names in suites."""

CRITERIA = {
    "random": "Random",
    "magnitude": "Magnitude",
    "gradient": "Gradient",
    "movement": "Movement",
    "soft_movement": "Soft movement",
    "l0": "L0",
    "taylor": "Taylor",
    "fisher": "Fisher",
    "grasp": "GraSP",
    "sensitivity": "PLATON",
    "principled": "PINS",
    "obert": "oBERT",
    "wanda": "Wanda",
    "sparsegpt": "SparseGPT",
}
REGULARIZERS = {
    "distillation": "distil.",
    "self_regularization": "self-reg.",
    "l2_sp": "L2-SP",
    "label_smoothing": "label smooth.",
    "rdrop": "R-Drop",
}
LABELS = {"criteria": CRITERIA, "regularizers": REGULARIZERS}


def labelled(kind: str, label: str) -> str:
    """The plugin of a kind that papers call `label`, whatever its case and signs: `principled` for `pins`; "" where none is."""
    known = {letters(text): name for name, text in LABELS.get(kind, {}).items()}
    return known.get(letters(label), "")


def letters(name: str) -> str:
    """A name without case and signs."""
    return "".join(sign for sign in name.lower() if sign.isalnum())
