"""Users' own connections."""

from fastapi import APIRouter

router = APIRouter(tags=["connections"])
