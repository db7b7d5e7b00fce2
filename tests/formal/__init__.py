"""Proofs about the hardware in SymbiYosys and z3: ``proofs`` states them, ``symbiyosys`` runs them.

PYTHONPATH=tests python -m formal [NAME...] [-o FOLDER]
"""
